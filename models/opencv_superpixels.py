"""SLIC, SEEDS and LSC of OpenCV's contrib modules, which table 3.5 of S. Kim, SNU 2022, compares with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil, sqrt
from typing import Any

import numpy as np

ITERATIONS = 30
"""As section 3.4.3 has it. All parameters that are not named here have OpenCV's default."""

SEEDS_LEVELS = 4
"""Block levels of SEEDS: OpenCV has no default for them; this is the value of its sample program."""


def opencv_slic(image: np.ndarray, region_size: int) -> np.ndarray:
    """SLIC superpixels, in the variant that is OpenCV's default (SLICO).

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8
        RGB.
    region_size : int
        Average side of a superpixel in pixels, at most the shorter side of the image. Published: 50, 80, 100, 130.

    Returns
    -------
    ndarray, (H, W), int64
        Numbered from 0 without gaps.

    Raises
    ------
    ImportError
        If OpenCV with its contrib modules is not installed.
    """
    return _by_size("createSuperpixelSLIC", image, min(region_size, *image.shape[:2]))


def opencv_lsc(image: np.ndarray, region_size: int) -> np.ndarray:
    """LSC superpixels (Li and Chen, CVPR 2015); parameters, result and errors as of `opencv_slic`."""
    height, width = image.shape[:2]
    region_size = min(region_size, height, width)
    while not _lsc_columns(height, width, region_size):
        region_size -= 1
    return _by_size("createSuperpixelLSC", image, region_size)


def opencv_seeds(image: np.ndarray, count: int) -> np.ndarray:
    """SEEDS superpixels (Van den Bergh et al., ECCV 2012).

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8
        RGB.
    count : int
        Wanted number of superpixels; there may be fewer. Published: 30, 50, 80, 100.

    Returns
    -------
    ndarray, (H, W), int64
        Numbered from 0 without gaps.

    Raises
    ------
    ImportError
        If OpenCV with its contrib modules is not installed.
    ValueError
        If the image is too small or too narrow for the grid of blocks from which SEEDS starts.
    """
    height, width = image.shape[:2]
    if not _has_seeds_grid(height, width, count):
        raise ValueError(f"SEEDS has no grid of {count} superpixels for an image of {height} x {width} pixels")
    with _ximgproc() as module:
        superpixels = module.createSuperpixelSEEDS(width, height, 3, count, SEEDS_LEVELS)
        superpixels.iterate(_bgr(image), ITERATIONS)
        return _numbered(superpixels.getLabels())


def _lsc_columns(height: int, width: int, region_size: int) -> int:
    """Columns of the grid from which OpenCV's LSC starts. It divides by them, so 0 ends the process."""
    return int(sqrt(height * width // region_size**2 * width / height))


def _has_seeds_grid(height: int, width: int, count: int) -> bool:
    """True if OpenCV's SEEDS has a grid of blocks, with two levels at least and a block on each level.

    Otherwise it searches without end, ends the process, or finds one single superpixel.
    """
    rows = int(sqrt(max(count, 10) * height / width))  # OpenCV makes 10 of any smaller number
    columns = rows * width // height
    if not rows or not columns:
        return False
    for halvings in range(SEEDS_LEVELS - 1, 0, -1):  # the highest level on which a block has a pixel
        high, wide = height / rows / 2**halvings, width / columns / 2**halvings
        if high >= 1 and wide >= 1:
            return height // ceil(high) >> halvings > 0 and width // ceil(wide) >> halvings > 0
    return False


@contextmanager
def _ximgproc() -> Iterator[Any]:
    """OpenCV's module of superpixels, on one thread: LSC adds up in the order in which its threads end."""
    try:
        import cv2

        module = cv2.ximgproc
    except (ImportError, AttributeError) as error:  # OpenCV without contrib has no ximgproc
        raise ImportError("OpenCV's contrib modules are not installed") from error
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield module
    finally:
        cv2.setNumThreads(threads)


def _bgr(image: np.ndarray) -> np.ndarray:
    """As OpenCV reads an image."""
    return np.ascontiguousarray(image[..., ::-1])


def _by_size(create: str, image: np.ndarray, region_size: int) -> np.ndarray:
    with _ximgproc() as module:
        superpixels = getattr(module, create)(_bgr(image), region_size=region_size)
        superpixels.iterate(ITERATIONS)
        return _numbered(superpixels.getLabels())


def _numbered(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int64)
