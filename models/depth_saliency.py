"""Saliency from depth alone: what stands on the support plane is salient. Ours; it needs no network."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.measure import label, ransac

MAX_POINTS = 5000
"""Largest number of pixels in which the plane is searched. More pixels do not change the plane."""


class _InversePlane:
    """1/z = a u + b v + c: the inverse depth z of a plane is affine in pixel coordinates (u, v)."""

    def __init__(self, coefficients: np.ndarray):
        self.coefficients = coefficients

    @classmethod
    def from_estimate(cls, places: np.ndarray, inverse: np.ndarray):
        system = np.column_stack([places, np.ones(len(places))])
        coefficients, _, rank, _ = np.linalg.lstsq(system, inverse, rcond=None)
        return cls(coefficients) if rank == 3 else None

    def inverse(self, places: np.ndarray) -> np.ndarray:
        return places @ self.coefficients[:2] + self.coefficients[2]

    def residuals(self, places: np.ndarray, inverse: np.ndarray) -> np.ndarray:
        """Metres between the plane and the points along the line of sight; very large behind the horizon."""
        plane = self.inverse(places)
        return np.where(plane > 1e-6, np.abs(1 / np.maximum(plane, 1e-6) - 1 / inverse), 1e6)


def height_above_plane(depth: np.ndarray, valid: np.ndarray, tolerance: float, seed: int) -> np.ndarray:
    """How much nearer than the support plane each pixel is, along the line of sight.

    The support plane is the plane with the most measured pixels on it (RANSAC on inverse depth). A pixel farther away
    than all of them has height 0: behind the end of the table there are walls, not objects.

    Parameters
    ----------
    depth : ndarray, (H, W), float, metres, > 0
    valid : ndarray, (H, W), bool
        Measured pixels. Only they are used to find the plane.
    tolerance : float
        Largest distance in metres of a pixel on the plane.
    seed : int
        Seed of RANSAC.

    Returns
    -------
    ndarray, (H, W), float64, metres
        0 everywhere if no plane is found.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.nonzero(valid)
    if len(rows) < 3:
        return np.zeros(depth.shape)
    if len(rows) > MAX_POINTS:
        picked = np.sort(rng.choice(len(rows), MAX_POINTS, replace=False))
        rows, columns = rows[picked], columns[picked]
    scale = max(depth.shape)  # coordinates in [0, 1) make the system well conditioned
    places = np.column_stack([columns, rows]) / scale
    inverse = 1.0 / depth[rows, columns].astype(np.float64)
    plane, inliers = ransac(
        (places, inverse), _InversePlane, min_samples=3, residual_threshold=tolerance, max_trials=300, rng=rng
    )
    if plane is None:  # nothing is within the tolerance, or what is lies in a row
        return np.zeros(depth.shape)
    grid = np.stack(np.meshgrid(np.arange(depth.shape[1]), np.arange(depth.shape[0])), -1) / scale
    height = 1 / np.maximum(plane.inverse(grid), 1e-6) - depth  # very large above the horizon of the plane
    return np.where(depth <= 1 / inverse[inliers].min(), height, 0.0)


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
