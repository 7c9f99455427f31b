"""Saliency from depth alone: what stands on the support plane is salient. Ours; it needs no network."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.measure import label

from models.standing import plane_inverse, plane_places

KEPT = 0.99
"""As of `models.standing.plane_inverse`."""


def height_above_plane(depth: np.ndarray, valid: np.ndarray, tolerance: float, seed: int) -> np.ndarray:
    """How much nearer than the support plane each pixel is, along the line of sight.

    The support plane is the plane with the most measured pixels on it (`models.standing.plane_inverse`). A pixel
    farther away than all of them has height 0: behind the end of the table there are walls, not objects.

    Parameters
    ----------
    depth : ndarray, (H, W), float, metres, > 0
    valid : ndarray, (H, W), bool
        Measured pixels. Only they are used to find the plane.
    tolerance : float
        Largest distance in metres of a pixel on the plane. In inverse depth it is this times 1/z^2.
    seed : int
        Seed of RANSAC.

    Returns
    -------
    ndarray, (H, W), float64, metres
        0 everywhere if no plane is found.
    """
    inverse = 1.0 / np.maximum(depth.astype(np.float64), 1e-3)
    allowed = tolerance * np.square(inverse)
    plane = plane_inverse(inverse, valid, allowed, seed, KEPT)
    if plane is None:
        return np.zeros(depth.shape)
    on_plane = plane_places(depth.shape) @ plane
    end = np.min(inverse, where=valid & (np.abs(on_plane - inverse) < allowed), initial=np.inf)
    height = 1 / np.maximum(on_plane, 1e-6) - depth  # very large above the horizon of the plane
    return np.where(inverse >= end, height, 0.0)


def support_plane(depth: np.ndarray, valid: np.ndarray, tolerance: float = 0.006, seed: int = 0) -> np.ndarray:
    """The support plane and what is behind its end, as found by `height_above_plane`.

    Parameters
    ----------
    depth, valid, tolerance, seed
        As in `height_above_plane`.

    Returns
    -------
    ndarray, (H, W), bool
        False where nothing was measured, and everywhere if no plane is found.
    """
    height = height_above_plane(depth, valid, tolerance, seed)
    return valid & (np.abs(height) <= tolerance) & bool(height.any())


def depth_saliency(
    depth: np.ndarray,
    valid: np.ndarray,
    height: float = 0.008,
    tolerance: float = 0.006,
    median_size: int = 5,
    least_part: float = 0.2,
    seed: int = 0,
) -> np.ndarray:
    """Pixels of what stands on the support plane.

    Parameters
    ----------
    depth, valid, tolerance, seed
        As in `height_above_plane`.
    height : float
        Metres above the plane from which a pixel is salient.
    median_size : int
        Side of the median filter of the mask, in pixels; 1 = no filter.
    least_part : float
        Connected parts smaller than this share of the largest part are noise. 1 keeps the largest part alone.

    Returns
    -------
    ndarray, (H, W), float32
        1 where something stands on the plane, 0 elsewhere.
    """
    standing = valid & (height_above_plane(depth, valid, tolerance, seed) > height)
    if median_size > 1:  # median of the measured pixels: holes do not count
        votes, seen = (ndimage.uniform_filter(mask.astype(np.float64), median_size) for mask in (standing, valid))
        standing = votes > 0.5 * seen + 1e-9
    standing = ndimage.binary_fill_holes(standing)
    parts = label(standing, connectivity=1)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    keep = sizes >= max(1, least_part * sizes.max())
    return keep[parts].astype(np.float32)
