"""Cleaning of sensor depth: the nearest valid value fills holes, a small median filter removes speckles."""

from __future__ import annotations

import numpy as np
import scipy  # scipy.ndimage loads at its first use, so that imports stay quick


def fill_holes(depth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Give every invalid pixel the depth of the nearest valid pixel (Euclidean distance in pixels).

    Parameters
    ----------
    depth : ndarray, (H, W), float, metres
    valid : ndarray, (H, W), bool; at least one pixel must be valid

    Returns
    -------
    ndarray, (H, W), same dtype

    Raises
    ------
    ValueError
        If no pixel is valid.

    Examples
    --------
    >>> depth = np.array([[1.0, 0.0, 0.0, 3.0]])
    >>> fill_holes(depth, depth > 0)
    array([[1., 1., 3., 3.]])
    """
    if not valid.any():
        raise ValueError("depth has no valid pixel to fill holes from")
    if valid.all():
        return depth.copy()
    nearest = scipy.ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return depth[tuple(nearest)]


def clean_depth(
    raw: np.ndarray, near: float = 0.05, far: float = 20.0, median_size: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Depth without holes and speckles, and the mask of the measured pixels.

    Parameters
    ----------
    raw : ndarray, (H, W), float32, metres; 0 or not finite where nothing was measured
    near, far : float
        Metres; measurements outside this range are holes.
    median_size : int
        Side of the median filter in pixels; 1 switches it off. The filter runs after the filling, so that
        holes do not grow.

    Returns
    -------
    depth : ndarray, (H, W), float32, metres, no holes
    valid : ndarray, (H, W), bool
        Measured pixels.

    Raises
    ------
    ValueError
        If no pixel lies between near and far.
    """
    valid = np.isfinite(raw) & (raw >= near) & (raw <= far)
    depth = fill_holes(raw, valid).astype(np.float32)
    if median_size > 1:
        depth = scipy.ndimage.median_filter(depth, size=median_size, mode="nearest")
    return depth, valid
