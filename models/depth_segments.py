"""Segments of an image that end at depth edges (ours). Superpixels that use depth do not cross them."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.filters import sobel
from skimage.segmentation import watershed

from models.depth_edges import inverse_depth, inverse_depth_curvature

INVERSE_DEPTH_STEP = 0.15
"""Gradient of inverse depth, in 1/m per pixel, with the same weight as `COLOUR_STEP` of colour."""

COLOUR_STEP = 20.0
"""Gradient of CIELAB colour per pixel."""

FACTOR = 4
"""Pixels per cell. Inverse depth is averaged over cells before its second differences, to reduce sensor noise."""


def depth_edge_cells(depth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Second differences of inverse depth between neighbouring cells of `FACTOR` pixels.

    Parameters
    ----------
    depth : ndarray, (H, W), float, metres
    valid : ndarray, (H, W), bool

    Returns
    -------
    ndarray, (ceil(H/4), ceil(W/4)), float32, 1/m
        NaN where unknown.
    """
    metres, measured = (torch.from_numpy(np.ascontiguousarray(values))[None, None] for values in (depth, valid))
    curvature, known = inverse_depth_curvature(*inverse_depth(metres, measured, FACTOR), reach=1)
    return curvature.where(known, torch.nan)[0, 0].float().numpy()


def depth_segments(curvature: np.ndarray, threshold: float = 0.02, smallest: int = 3) -> np.ndarray:
    """Regions between depth edges.

    Connected cells below the threshold form regions. Then the regions grow (watershed) until they meet on the edges.
    Second differences of inverse depth are 0 on every plane and large at silhouettes and at contact creases. So a
    tilted table is one region and an object on it is another one.

    Parameters
    ----------
    curvature : ndarray, (h, w), float, 1/m
        From `depth_edge_cells`. NaN counts as no edge.
    threshold : float
        1/m from which a cell is an edge. With depth noise of 1 mm at 0.6 m the median cell of a plane has 0.002.
    smallest : int
        Regions with fewer cells are merged into their neighbours.

    Returns
    -------
    ndarray, (h, w), int64
        Numbered from 0 without gaps.

    Examples
    --------
    >>> curvature = np.zeros((3, 9))
    >>> curvature[:, 4] = 0.1  # an edge between two surfaces
    >>> depth_segments(curvature)[0].tolist()
    [0, 0, 0, 0, 0, 1, 1, 1, 1]
    """
    strength = np.nan_to_num(curvature.astype(np.float64))
    markers, _ = ndimage.label(strength < threshold)
    sizes = np.bincount(markers.ravel())
    markers[(sizes < smallest)[markers]] = 0
    if not markers.any():
        return np.zeros(curvature.shape, np.int64)
    return np.unique(watershed(strength, markers), return_inverse=True)[1].reshape(curvature.shape).astype(np.int64)


def segments_of(image: np.ndarray, depth: np.ndarray, valid: np.ndarray, threshold: float) -> np.ndarray:
    """Depth segments of an image at pixel resolution: `depth_segments`, enlarged, then `refine_segments`.

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8
    depth : ndarray, (H, W), float, metres, without holes
    valid : ndarray, (H, W), bool
        Measured pixels.
    threshold : float
        As in `depth_segments`.

    Returns
    -------
    ndarray, (H, W), int64
        One segment if nothing is valid.
    """
    if not valid.any():
        return np.zeros(valid.shape, np.int64)
    cells = depth_segments(depth_edge_cells(depth, valid), threshold)
    whole = cells.repeat(FACTOR, 0).repeat(FACTOR, 1)[: valid.shape[0], : valid.shape[1]]
    return refine_segments(whole, image, depth, band=FACTOR + 1)


def refine_segments(segments: np.ndarray, image: np.ndarray, depth: np.ndarray, band: int) -> np.ndarray:
    """Move the borders between regions to the strongest gradient of colour and inverse depth nearby.

    Parameters
    ----------
    segments : ndarray, (H, W), integer from 0
    image : ndarray, (H, W, 3), uint8
    depth : ndarray, (H, W), float, metres, without holes
    band : int
        Largest move of a border, in pixels.

    Returns
    -------
    ndarray, (H, W), int64
        The same regions.
    """
    count = int(segments.max()) + 1
    if count == 1:
        return segments.astype(np.int64)
    inside = ~near_border(segments, band)
    lost = np.bincount(segments[inside], minlength=count) == 0  # regions thinner than the band keep their pixels
    markers = np.where(inside | lost[segments], segments + 1, 0)
    colours = rgb2lab(image)
    colour_gradient = np.sqrt(sum(sobel(colours[..., channel]) ** 2 for channel in range(3)))
    depth_gradient = sobel(1.0 / np.maximum(depth, 1e-3))
    relief = np.clip(colour_gradient / COLOUR_STEP, 0, 1) + np.clip(depth_gradient / INVERSE_DEPTH_STEP, 0, 1)
    # Only the band and its rim are flooded: the rest has its region already.
    flooded = ndimage.binary_dilation(markers == 0)
    return np.where(flooded, watershed(relief, markers * flooded, mask=flooded), markers).astype(np.int64) - 1


def near_border(segments: np.ndarray, band: int) -> np.ndarray:
    """Pixels with a pixel of another segment at a Euclidean distance of at most `band`.

    Parameters
    ----------
    segments : ndarray, (H, W), integer
    band : int
        In pixels.

    Returns
    -------
    ndarray, (H, W), bool

    Examples
    --------
    >>> near_border(np.array([[0, 0, 0, 1]]), band=1).tolist()
    [[False, False, True, True]]
    """
    height, width = segments.shape
    near = np.zeros(segments.shape, bool)
    # Both pixels of a pair are marked, so half of the disk is enough. A grey dilation takes three times as long.
    for down in range(min(band, height - 1) + 1):
        reach = min(math.isqrt(band**2 - down**2), width - 1)
        for right in range(-reach if down else 1, reach + 1):
            here = np.s_[: height - down, max(-right, 0) : width - max(right, 0)]
            there = np.s_[down:, max(right, 0) : width - max(-right, 0)]
            apart = segments[here] != segments[there]
            near[here] |= apart
            near[there] |= apart
    return near
