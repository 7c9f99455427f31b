"""Depth as a structured-light or a stereo camera would have measured it: noise, steps, shadows, holes, fat borders.

Both cameras measure disparity d = f b / z in pixels: f is the focal length in pixels, b the baseline and z the depth.
So their noise is about constant in inverse depth, and grows with z^2 in metres (Khoshelham and Elberink, "Accuracy and
resolution of Kinect depth data for indoor mapping applications", Sensors 12(2), 2012, equations 7 to 10).

Lengths in pixels are those of the native width of a camera. They are scaled to the width of the image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import scipy  # scipy.ndimage loads at its first use, so that imports stay quick

from data.depth.cleaning import fill_holes
from data.depth.noise import smooth_field


@dataclass(frozen=True)
class SensorModel:
    """The constants of a depth camera. `sense` says in which order they act.

    Attributes
    ----------
    width : int
        Width in pixels to which the lengths below belong.
    focal_baseline : float
        f b of the depth camera in pixels times metres: disparity is f b / z.
    step : float
        Disparity is a multiple of it, in pixels.
    rms : float
        Standard deviation of the noise of disparity, in pixels, before it is rounded to `step`.
    correlation : float
        Side of the square window over which this noise is white noise averaged, in pixels.
    window : float
        Side of the square window that is matched, in pixels.
    rank : float
        Which inverse depth of the window is seen, as a quantile: 0.5 is the surface that fills more of the window;
        above, near surfaces are fattened.
    visible : float
        Share of the window that all views must see for a match.
    focal : float
        Focal length of the image that the depth belongs to, as a share of its width.
    views : tuple of float
        Where the other views stand (projector, second camera), in metres to the right of the camera that took the
        image. What one of them does not see has no depth (`hidden`).
    lateral : float
        Standard deviation of the shift of depth borders, in pixels.
    registration : float
        Length of the shift of the whole map against the image, in pixels; its direction is random for each image.
    dark : tuple of (int, float)
        (luminance, share): this share of the pixels below this luminance (0 to 255), and not below the one before, is
        not measured. The last luminance is 256. Empty = no such holes.
    band : (float, float, float, float)
        Shares of width, width, height and height without depth at the left, right, upper and lower border.
    """

    width: int
    focal_baseline: float
    step: float
    rms: float
    correlation: float
    window: float
    rank: float
    visible: float
    focal: float
    views: tuple[float, ...]
    lateral: float = 0.0
    registration: float = 0.0
    dark: tuple[tuple[int, float], ...] = ()
    band: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


JUMP = 1.0
"""Pixels: surfaces that differ by more in disparity are not seen as one."""

HOLE_SIZE = 4.0
"""Typical radius in pixels, at a width of 640, of the holes on dark surfaces."""


def sense(
    depth: np.ndarray, image: np.ndarray, model: SensorModel, scale: float, rng: np.random.Generator
) -> np.ndarray:
    """A depth map as a camera would have measured it. The better the map that is given, the better the result.

    1. What one of the views does not see has no depth (`hidden`).
    2. Each pixel gets the depth of the surface that fills a window (`matched_surface`).
    3. Borders shift at random, and all of them shift against the image. (Random shifts before the rounding follow
       Barron and Malik, "Intrinsic scene properties from a single RGB-D image", CVPR 2013, and Handa et al., "A
       benchmark for RGB-D visual odometry, 3D reconstruction and SLAM", ICRA 2014. There each pixel shifts for itself
       by bilinear interpolation. Here neighbours shift together, no depth between two surfaces appears, and surfaces
       stay: what a shift does to them is part of the measured noise of disparity.)
    4. Disparity gets noise and is rounded (`rounded_disparity`).
    5. Some dark pixels, and bands at the image borders, have no depth.

    The range of the camera is not applied: `near` and `far` of LoadDepth do that.

    Parameters
    ----------
    depth : ndarray, (H, W), float32, metres; 0 where nothing was measured
    image : ndarray, (H, W, 3), uint8, RGB
    model : SensorModel
    scale : float
        The scene counts as this many times larger and farther away than it is. The result has the scale of `depth`.
        1 = as it is.
    rng : numpy Generator

    Returns
    -------
    ndarray, (H, W), float32, metres; 0 where nothing was measured; that may be everywhere
    """
    height, width = depth.shape
    zoom = width / model.width
    visible = depth > 0
    disparity = np.where(visible, np.float32(model.focal_baseline / scale) / np.where(visible, depth, 1), np.float32(0))
    for baseline in model.views:
        visible &= ~hidden(disparity * np.float32(baseline * model.focal * width / model.focal_baseline), baseline > 0)
    if not visible.any():
        return np.zeros(depth.shape, np.float32)
    disparity = fill_holes(disparity, visible)  # what a view does not see takes no part in a match
    disparity, share = matched_surface(disparity, visible, odd_side(model.window * zoom), model.rank)
    seen = share > model.visible
    source = _shifted_grid(depth.shape, model.lateral * zoom, model.registration * zoom, rng)
    shifted, seen = disparity[source], seen[source]
    disparity = np.where(np.abs(shifted - disparity) < JUMP, disparity, shifted)
    disparity = rounded_disparity(disparity, model.step, model.rms, odd_side(model.correlation * zoom), rng)
    if model.dark:
        seen &= ~_dark_holes(luminance(image), model.dark, HOLE_SIZE * width / 640, rng)
    left, right, upper, lower = model.band
    rows = slice(round(upper * height), height - round(lower * height))
    columns = slice(round(left * width), width - round(right * width))
    inside = np.zeros_like(seen)
    inside[rows, columns] = True
    return np.where(seen & inside, np.float32(model.focal_baseline / scale) / disparity, np.float32(0))


def luminance(image: np.ndarray) -> np.ndarray:
    """Luminance of an image (ITU-R BT.601), (H, W) float32 from 0 to 255, from (H, W, 3) uint8 RGB."""
    return image @ np.array([0.299, 0.587, 0.114], np.float32)


def odd_side(length: float) -> int:
    """The odd number of pixels that is nearest to a length, at least 1."""
    return 1 + 2 * max(0, round((length - 1) / 2))


def matched_surface(
    disparity: np.ndarray, visible: np.ndarray, side: int, rank: float
) -> tuple[np.ndarray, np.ndarray]:
    """Disparity that a matched window sees, and the share of the window that is visible.

    A match tells one disparity for a window: that of one surface, averaged over its part of the window. That is why
    corners of real depth maps are round, and stereo fattens near surfaces. The surface is that of the quantile `rank`;
    its pixels are those within `JUMP` of it.

    Parameters
    ----------
    disparity : ndarray, (H, W), float32, pixels; holes filled
    visible : ndarray, (H, W), bool
    side : int
        Side of the window in pixels; odd.
    rank : float
        Quantile of the disparities in the window.

    Returns
    -------
    disparity : ndarray, (H, W), float32, pixels
    share : ndarray, (H, W), float32
    """
    chosen = scipy.ndimage.percentile_filter(disparity, 100 * rank, size=side, mode="nearest")
    padded = np.pad(disparity, side // 2, mode="edge")
    total, count = np.zeros_like(chosen), np.zeros_like(chosen)
    height, width = disparity.shape
    for row, column in np.ndindex(side, side):
        neighbour = padded[row : row + height, column : column + width]
        is_surface = np.abs(neighbour - chosen) < JUMP
        total += neighbour * is_surface
        count += is_surface
    return total / count, scipy.ndimage.uniform_filter(visible.astype(np.float32), side, mode="nearest")


def hidden(disparity: np.ndarray, is_right: bool = True) -> np.ndarray:
    """Pixels that another view does not see, since a nearer surface stands before them.

    A view to the right sees pixel x at column x - d(x). The band that a near object hides from it lies left of the
    object, and is as wide as the jump of d. Of all points that meet in a column, the nearest has the largest d, and so
    the largest x. So pixel x is hidden if any x' > x has x' - d(x') <= x - d(x). For a view to the left, the same holds
    in the mirrored image.

    Parameters
    ----------
    disparity : ndarray, (H, W), float, pixels of this image
        Against the other view; 0 where there is no surface; at least 0 for a view to the right, at most 0 for one to
        the left.
    is_right : bool
        Whether the other view is to the right.

    Returns
    -------
    ndarray, (H, W), bool
    """
    if not is_right:
        return hidden(-disparity[:, ::-1])[:, ::-1]
    column = np.arange(disparity.shape[1], dtype=np.float32) - disparity
    leftmost = np.minimum.accumulate(column[:, ::-1], axis=1)[:, ::-1]  # over x' >= x
    behind = np.zeros(disparity.shape, bool)
    behind[:, :-1] = leftmost[:, 1:] <= column[:, :-1]
    return behind


def rounded_disparity(
    disparity: np.ndarray, step: float, rms: float, correlation: int, rng: np.random.Generator
) -> np.ndarray:
    """Noisy disparity as a multiple of `step`: ``step * round((d + n) / step)``, at least one step.

    The noise n has standard deviation `rms`. It is white noise averaged over a square window, since neighbouring
    pixels are matched with nearly the same pixels.

    Parameters
    ----------
    disparity : ndarray, (H, W), float, pixels
    step, rms : float
        In pixels.
    correlation : int
        Side of the window in pixels.
    rng : numpy Generator

    Returns
    -------
    ndarray, (H, W), float32, pixels
    """
    noise = rng.standard_normal(disparity.shape, dtype=np.float32)
    noise = correlation * scipy.ndimage.uniform_filter(noise, correlation, mode="reflect")
    return np.float32(step) * np.maximum(np.rint((disparity + np.float32(rms) * noise) / np.float32(step)), 1)


def _shifted_grid(
    shape: tuple[int, ...], lateral: float, registration: float, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """For each pixel, the row and column where it takes its depth from; lengths in pixels of this image."""
    angle = rng.uniform(0, 2 * math.pi)
    source = []
    for grid, side, part in zip(np.indices(shape), shape, (math.sin(angle), math.cos(angle)), strict=True):
        shifts = registration * part + (lateral * smooth_field(shape, 1.0, rng) if lateral else 0)
        source.append(np.clip(np.rint(grid + shifts), 0, side - 1).astype(np.intp))
    return tuple(source)


def _dark_holes(
    brightness: np.ndarray, dark: tuple[tuple[int, float], ...], radius: float, rng: np.random.Generator
) -> np.ndarray:
    """Blobs without depth: in each class of luminance, the given share of a smooth random field."""
    field = smooth_field(brightness.shape, radius, rng)
    limits = np.array([NormalDist().inv_cdf(share) for _, share in dark])
    classes = np.digitize(brightness, [below for below, _ in dark[:-1]])
    return field < limits[classes]
