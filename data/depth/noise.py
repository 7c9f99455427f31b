"""Degraded depth, to study how much of a depth sensor's quality a method needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

HOLE_SIZE = 4.0
"""Typical radius of a dropout hole in pixels: the sigma of the field that is thresholded."""


@dataclass(frozen=True)
class DepthNoise:
    """What is done to measured depth.

    Attributes
    ----------
    gaussian : float
        Standard deviation in metres, independent for each pixel.
    dropout : float
        Share of the pixels in [0, 1) that fall into round holes.
    bleeding : float
        Pixels: each takes its depth from a place displaced by a smooth random field of this standard
        deviation. Surfaces hardly change, but their borders wander over each other, as in stereo depth.
    """

    gaussian: float = 0.0
    dropout: float = 0.0
    bleeding: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.gaussian or self.dropout or self.bleeding)


def degrade(depth: np.ndarray, noise: DepthNoise, rng: np.random.Generator) -> np.ndarray:
    """Add noise to a depth map.

    Parameters
    ----------
    depth : ndarray, (H, W), float32, metres; 0 where nothing was measured
    noise : DepthNoise
    rng : Generator

    Returns
    -------
    ndarray, (H, W), float32, metres; 0 at the holes, old and new
    """
    noisy = depth.astype(np.float32)
    if noise.bleeding:
        shifts = [noise.bleeding * _smooth_field(depth.shape, 2.0, rng) for _ in range(2)]
        places = [
            np.clip(np.rint(grid + shift), 0, side - 1).astype(np.intp)
            for grid, shift, side in zip(np.indices(depth.shape), shifts, depth.shape)
        ]
        noisy = noisy[tuple(places)]
    if noise.gaussian:
        measured = noisy > 0
        moved = noisy + rng.normal(0.0, noise.gaussian, depth.shape).astype(np.float32)
        noisy = np.where(measured, np.maximum(moved, np.float32(1e-3)), np.float32(0))
    if noise.dropout:
        field = _smooth_field(depth.shape, HOLE_SIZE, rng)
        noisy = np.where(field < np.quantile(field, noise.dropout), np.float32(0), noisy)
    return noisy


def _smooth_field(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian random field of unit variance and correlation length `sigma` pixels."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    return field / field.std()
