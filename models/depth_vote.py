"""One class per region between depth edges (ours)."""

from __future__ import annotations

import numpy as np

from models.depth_segments import surfaces_of

LARGEST_OBJECT = 0.2
"""Share of the image above which a depth segment is a surface that objects stand on, not an object."""


def vote_by_depth(values: np.ndarray, image: np.ndarray, depth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Replace class probabilities by their means over each depth segment. Large surfaces keep their probabilities.

    A network that sees only colours may give the parts of one object different classes.

    Parameters
    ----------
    values : ndarray, (L, H, W), float
    image : ndarray, (H, W, 3), uint8
    depth : ndarray, (H, W), float, metres, without holes
    valid : ndarray, (H, W), bool
        Measured pixels. If there are none, nothing changes.

    Returns
    -------
    ndarray, (L, H, W), float
    """
    if not valid.any():
        return values
    segments = surfaces_of(image, depth, valid).segments
    small = (np.bincount(segments.ravel()) < LARGEST_OBJECT * segments.size)[segments]
    return np.where(small, region_means(values, segments), values)


def region_means(values: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Replace each value by the mean of its region.

    Parameters
    ----------
    values : ndarray, (L, H, W), float
    regions : ndarray, (H, W), integer

    Returns
    -------
    ndarray, (L, H, W), float64

    Examples
    --------
    >>> region_means(np.array([[[1.0, 3.0, 8.0]]]), np.array([[0, 0, 1]])).tolist()
    [[[2.0, 2.0, 8.0]]]
    """
    _, flat = np.unique(regions, return_inverse=True)
    flat = flat.ravel()
    counts = np.bincount(flat)
    means = np.stack([np.bincount(flat, weights=channel.ravel()) / counts for channel in values])
    return means[:, flat].reshape(values.shape)
