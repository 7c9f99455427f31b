"""Degraded depth, to study how good a depth sensor a method needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # scipy.ndimage loads at its first use, so that imports stay quick

HOLE_SIZE = 4.0
"""Typical radius of a dropout hole in pixels: the correlation length of the thresholded random field."""

MINIMUM_DEPTH = np.float32(1e-3)
"""Metres. Noise never moves a measured pixel below it, since 0 means "not measured"."""


@dataclass(frozen=True)
class DepthNoise:
    """The noise that is added to measured depth.

    Attributes
    ----------
    gaussian : float
        Standard deviation in metres, independent for each pixel.
    dropout : float
        Share of the pixels, in [0, 1), that become round holes.
    bleeding : float
        Standard deviation in pixels of a smooth random displacement. Each pixel takes its depth from its
        displaced position. Surfaces hardly change, but their borders shift irregularly, as in stereo depth.
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
    rng : numpy Generator

    Returns
    -------
    ndarray, (H, W), float32, metres; 0 at all holes, old and new
    """
    noisy = depth.astype(np.float32)
    if noise.bleeding:
        shifts = [noise.bleeding * smooth_field(depth.shape, 2.0, rng) for _ in range(2)]
        source = [
            np.clip(np.rint(grid + shift), 0, side - 1).astype(np.intp)
            for grid, shift, side in zip(np.indices(depth.shape), shifts, depth.shape)
        ]
        noisy = noisy[tuple(source)]
    if noise.gaussian:
        measured = noisy > 0
        moved = noisy + rng.normal(0.0, noise.gaussian, depth.shape).astype(np.float32)
        noisy = np.where(measured, np.maximum(moved, MINIMUM_DEPTH), np.float32(0))
    if noise.dropout:
        field = smooth_field(depth.shape, HOLE_SIZE, rng)
        noisy = np.where(field < np.quantile(field, noise.dropout), np.float32(0), noisy)
    return noisy


def smooth_field(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian random field of unit variance and correlation length `sigma` pixels."""
    field = scipy.ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    return field / (field.std() or 1.0)  # 0: a single pixel
