"""Points in space from depth and the intrinsics of a pinhole camera."""

from __future__ import annotations

import numpy as np


def back_project(depth: np.ndarray, fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    """The point of each pixel: x = (u - cx) z / fx, y = (v - cy) z / fy (Hartley and Zisserman, 2nd ed., eq. 6.4).

    Parameters
    ----------
    depth : ndarray, (H, W), float
        z of each pixel in metres, along the optical axis; NaN or 0 = not measured.
    fx, fy, cx, cy : float
        Intrinsics in pixels; the centre of the first pixel is (0, 0).

    Returns
    -------
    ndarray, (H, W, 3), float32
        x to the right, y down, z forward, in metres. NaN where nothing is measured.

    Examples
    --------
    >>> back_project(np.array([[2.0, np.nan, 4.0]]), fx=10, fy=10, cx=1, cy=0)[0].tolist()
    [[-0.20000000298023224, 0.0, 2.0], [nan, nan, nan], [0.4000000059604645, 0.0, 4.0]]
    """
    height, width = depth.shape
    z = np.where(depth > 0, depth, np.nan)  # a comparison with NaN is false
    x = (np.arange(width) - cx) / fx * z
    y = (np.arange(height)[:, None] - cy) / fy * z
    return np.stack([x, y, z], axis=-1).astype(np.float32)
