"""Saliency from depth alone: what stands on the support plane is salient (ours; no network)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.measure import label, ransac

MOST_POINTS = 5000
"""Pixels among which the plane is sought; more would not find another one."""


class _InversePlane:
    """1/z = a u + b v + c: in inverse depth the image of a plane is affine in pixel coordinates (u, v)."""

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
        """Metres between the plane and the points, along the line of sight; huge behind the horizon."""
        plane = self.inverse(places)
        return np.where(plane > 1e-6, np.abs(1 / np.maximum(plane, 1e-6) - 1 / inverse), 1e6)


def height_above_plane(depth: np.ndarray, valid: np.ndarray, tolerance: float, seed: int) -> np.ndarray:
    """How much nearer than the support plane each pixel is, along the line of sight.

    The plane is the one that most measured pixels lie on (RANSAC on inverse depth). A pixel farther away than all
    of them has height 0: behind the table's end stand walls, not objects.

    Parameters
    ----------
    depth : ndarray, (H, W), float, metres, > 0
    valid : ndarray, (H, W), bool
        What was measured; only this finds the plane.
    tolerance : float
        Metres from the plane within which a pixel lies on it.
    seed : int

    Returns
    -------
    ndarray, (H, W), float64, metres; 0 everywhere if no plane is found.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.nonzero(valid)
    if len(rows) < 3:
        return np.zeros(depth.shape)
    if len(rows) > MOST_POINTS:
        picked = np.sort(rng.choice(len(rows), MOST_POINTS, replace=False))
        rows, columns = rows[picked], columns[picked]
    scale = max(depth.shape)  # coordinates in [0, 1): the system is well conditioned
    places = np.column_stack([columns, rows]) / scale
    inverse = 1.0 / depth[rows, columns].astype(np.float64)
    plane, inliers = ransac(
        (places, inverse), _InversePlane, min_samples=3, residual_threshold=tolerance, max_trials=300, rng=rng
    )
    if inliers is None:
        return np.zeros(depth.shape)
    grid = np.stack(np.meshgrid(np.arange(depth.shape[1]), np.arange(depth.shape[0])), -1) / scale
    height = 1 / np.maximum(plane.inverse(grid), 1e-6) - depth  # huge above the plane's horizon
    return np.where(depth <= 1 / inverse[inliers].min(), height, 0.0)


def support_plane(depth: np.ndarray, valid: np.ndarray, tolerance: float = 0.006, seed: int = 0) -> np.ndarray:
    """The largest plane and what lies behind its end, as `height_above_plane` finds it: (H, W), bool.

    What was not measured is not in it; nothing is where no plane is found.
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
    """1 where something stands on the support plane, 0 elsewhere.

    Parameters
    ----------
    depth, valid, tolerance, seed
        As in `height_above_plane`.
    height : float
        Metres above the plane from which a pixel belongs to something.
    median_size : int
        Side of the median filter of the mask, in pixels; 1 = none.
    least_part : float
        Connected parts smaller than this share of the largest one are noise; 1 keeps the largest alone.

    Returns
    -------
    ndarray, (H, W), float32, 0 or 1
    """
    standing = valid & (height_above_plane(depth, valid, tolerance, seed) > height)
    if median_size > 1:  # among what was measured: holes are no votes against
        votes, seen = (ndimage.uniform_filter(mask.astype(np.float64), median_size) for mask in (standing, valid))
        standing = votes > 0.5 * seen + 1e-9
    standing = ndimage.binary_fill_holes(standing)
    parts = label(standing, connectivity=1)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    keep = sizes >= max(1, least_part * sizes.max())
    return keep[parts].astype(np.float32)
