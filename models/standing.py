"""How high each pixel stands on the support plane, and how well the depth shows it. Ours; the camera need not be known.

The inverse depth q = 1/z of a plane is affine in pixel coordinates: q_p = a u + b v + c. A point has the distance
h = D (1 - q_p / q) from the plane, where D is the distance between camera and plane: with n the unit normal and r the
ray of the pixel, n.X + D = z n.r + D, and n.r = -D q_p. D is the only number that needs the focal length. It is
1 / sqrt((a f)^2 + (b f)^2 + c'^2), with c' the inverse depth of the plane at the centre of the image.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

FOCAL = 0.82
"""Focal length assumed, as a share of the longer side: 525 px at 640 (Kinect, Xtion). 10 % off moves h by some 5 %."""

LEAST_NOISE = 1e-3
"""1/m. Depth in whole steps may have a median deviation of 0, but it is not that exact."""

TRIALS = 500
POINTS = 4000
"""RANSAC looks at this many planes and pixels."""

TOLERANCE = 3.0
"""A pixel is on the plane within this many standard deviations of the noise."""


class Standing(NamedTuple):
    """Result of `standing`.

    Attributes
    ----------
    height : ndarray, (H, W), float64, metres
        Distance from the support plane, towards the camera; 0 where nothing is measured.
    noise : ndarray, (H, W), float64, metres
        Standard deviation of `height`.
    inverse_noise : float, 1/m
        Standard deviation of the inverse depth.
    """

    height: np.ndarray
    noise: np.ndarray
    inverse_noise: float


def inverse_noise(inverse: np.ndarray, valid: np.ndarray) -> float:
    """Noise of inverse depth, estimated from second differences, which are 0 on planes.

    The median of |q(+2) + q(-2) - 2 q(0)| ignores edges. The standard deviation of the noise is 1.4826 / sqrt(6) of
    it. The larger one of the two directions counts.

    Parameters
    ----------
    inverse : ndarray, (H, W), float, 1/m
    valid : ndarray, (H, W), bool
        Measured pixels.

    Returns
    -------
    float, 1/m
        At least `LEAST_NOISE`.
    """
    found = [LEAST_NOISE]
    for values, known in ((inverse, valid), (inverse.T, valid.T)):
        seen = known[4:] & known[2:-2] & known[:-4]
        if seen.any():
            second = (values[4:] + values[:-4] - 2 * values[2:-2])[seen]
            found.append(1.4826 * float(np.median(np.abs(second))) / 6**0.5)
    return max(found)


def plane_inverse(
    inverse: np.ndarray, valid: np.ndarray, tolerance: float | np.ndarray, seed: int = 0, kept: float = 0.0
) -> np.ndarray | None:
    """Coefficients (a, b, c) of the plane with the most measured pixels (RANSAC), and then of least squares.

    Parameters
    ----------
    inverse : ndarray, (H, W), float, 1/m
    valid : ndarray, (H, W), bool
    tolerance : float or ndarray, (H, W), 1/m
        Largest distance of a pixel on the plane.
    seed : int
    kept : float in [0, 1]
        Share of its pixels that the plane of RANSAC must keep in a round of least squares; else the plane of the round
        before is returned. On rendered frames it loses 0.1 %, on those of a Kinect 2 % (docs/masking.md).

    Returns
    -------
    ndarray, (3,), float64, or None
        q_p = a u + b v + c, with u and v in units of the longer side, from the centre of the image. None if fewer
        than three pixels are measured, or all on a line.
    """
    rows, columns = np.nonzero(valid)
    if len(rows) < 3:
        return None
    rng = np.random.default_rng(seed)
    places, values = plane_places(inverse.shape)[rows, columns], inverse[rows, columns]
    picked = rng.choice(len(rows), min(POINTS, len(rows)), replace=False)
    places, values = places[picked], values[picked]
    allowed = np.broadcast_to(tolerance, inverse.shape)[rows, columns][picked]
    triples = rng.integers(len(picked), size=(TRIALS, 3))
    systems = places[triples]
    good = np.abs(np.linalg.det(systems)) > 1e-9
    if not good.any():
        return None
    planes = np.linalg.solve(systems[good], values[triples[good]][..., None])[..., 0]
    votes = [np.count_nonzero(np.abs(places @ plane - values) < allowed) for plane in planes]
    plane = planes[int(np.argmax(votes))]
    for _ in range(3):
        on = np.abs(places @ plane - values) < allowed
        if np.count_nonzero(on) < 3:  # the tolerance is below the rounding errors
            break
        refit = np.linalg.lstsq(places[on], values[on], rcond=None)[0]
        if np.count_nonzero(np.abs(places @ refit - values) < allowed) < kept * max(votes):
            break
        plane = refit
    return plane


def standing(depth: np.ndarray, valid: np.ndarray, seed: int = 0) -> Standing | None:
    """Height of each pixel above the support plane, and its noise.

    Parameters
    ----------
    depth : ndarray, (H, W), float, metres, without holes
    valid : ndarray, (H, W), bool
        Measured pixels.
    seed : int
        Of RANSAC.

    Returns
    -------
    Standing or None
        None if no plane is found.
    """
    inverse = 1.0 / np.maximum(depth.astype(np.float64), 1e-3)
    noise = inverse_noise(inverse, valid)
    plane = plane_inverse(inverse, valid, TOLERANCE * noise, seed)
    if plane is None:
        return None
    on_plane = plane_places(depth.shape) @ plane
    distance = 1.0 / np.sqrt(np.square(FOCAL * plane[:2]).sum() + plane[2] ** 2)
    smooth = measured_mean(inverse, valid, 3)
    height = np.where(valid, distance * (1.0 - on_plane / np.where(valid, smooth, 1.0)), 0.0)
    return Standing(height, distance * noise / inverse / 2, noise)  # the mean of 3x3 correlated pixels halves the noise


def plane_places(shape: tuple[int, ...]) -> np.ndarray:
    """(u, v, 1) of each pixel, (H, W, 3), for `plane_inverse`: in units of the longer side, from the centre."""
    rows, columns = np.indices(shape)
    longer = max(shape)
    return np.stack([(columns - shape[1] / 2) / longer, (rows - shape[0] / 2) / longer, np.ones(shape)], axis=-1)


def measured_mean(values: np.ndarray, valid: np.ndarray, size: int) -> np.ndarray:
    """Mean of the measured pixels in a square of `size` pixels around each; NaN where there is none.

    Examples
    --------
    >>> measured_mean(np.array([[1.0, 9.0, 3.0]]), np.array([[True, False, True]]), 3)[0, 1].item()
    2.0
    """
    share = ndimage.uniform_filter(valid.astype(np.float64), size, mode="nearest")
    total = ndimage.uniform_filter(np.where(valid, values, 0.0), size, mode="nearest")
    known = share > 0.5 / size**2
    return np.where(known, total / np.where(known, share, 1.0), np.nan)
