"""One class for what depth edges enclose (ours)."""

from __future__ import annotations

import numpy as np

from models.depth_segments import segments_of

SEGMENT_EDGE = 0.02
"""Second difference of inverse depth (1/m) from which surfaces lie apart."""

LARGEST_OBJECT = 0.2
"""Share of the image above which a depth segment is a surface that things stand on, not a thing."""


def vote_by_depth(values: np.ndarray, image: np.ndarray, depth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Replace class probabilities by their means over each depth segment; large surfaces keep theirs.

    A network that sees colours alone may call the parts of one object by different names.

    Parameters
    ----------
    values : ndarray, (L, H, W), float
    image : ndarray, (H, W, 3), uint8
    depth : ndarray, (H, W), float, metres, without holes
    valid : ndarray, (H, W), bool
        What was measured; where nothing was, nothing changes.

    Returns
    -------
    ndarray, (L, H, W), float
    """
    if not valid.any():
        return values
    segments = segments_of(image, depth, valid, SEGMENT_EDGE)
    small = (np.bincount(segments.ravel()) < LARGEST_OBJECT * segments.size)[segments]
    return np.where(small, region_means(values, segments), values)


def region_means(values: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Replace each value by its mean over the region.

    Parameters
    ----------
    values : ndarray, (L, H, W), float
    regions : ndarray, (H, W), integer

    Returns
    -------
    ndarray, (L, H, W), float64
    """
    _, flat = np.unique(regions, return_inverse=True)
    flat = flat.ravel()
    counts = np.bincount(flat)
    means = np.stack([np.bincount(flat, weights=channel.ravel()) / counts for channel in values])
    return means[:, flat].reshape(values.shape)
