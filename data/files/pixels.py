"""Decoding of single files; every error names the file.

A path below a ``.npy`` file, such as ``images.npy/17``, means one item of that array: some data sets keep all
images in one file.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from data.errors import ImageError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif")
"""File name endings of images, in lower case."""


def is_member(path: Path) -> bool:
    """True for a path that means one item of a ``.npy`` file.

    Examples
    --------
    >>> is_member(Path("fold1/images.npy/17")), is_member(Path("fold1/images.npy"))
    (True, False)
    """
    return os.path.dirname(path).endswith(".npy")


def _member(path: Path) -> np.ndarray:
    try:
        return np.load(path.parent, mmap_mode="r", allow_pickle=False)[int(path.name)]
    except FileNotFoundError as error:
        raise _missing(path.parent) from error
    except (OSError, ValueError, IndexError) as error:
        raise ImageError(
            f"{path.parent}: has no readable item {path.name} ({error}); download the file again"
        ) from error


def _missing(path: Path) -> ImageError:
    return ImageError(f"{path}: file is missing; restore it or take its image out of the data set")


def read_file(path: Path, mode: str | None = None) -> np.ndarray:
    """Pixels of an image file, or one item of a ``.npy`` file.

    Parameters
    ----------
    path : Path
    mode : str or None
        Pillow mode to convert to. None keeps the stored values (the indices of a palette image).

    Raises
    ------
    ImageError
        If the file is missing or cannot be decoded.
    """
    if is_member(path):
        values = np.array(_member(path))
        return values.astype(np.uint8) if mode else values
    try:
        with Image.open(path) as image:
            image.load()
            return np.asarray(image.convert(mode) if mode else image)
    except FileNotFoundError as error:
        raise _missing(path) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(
            f"{path}: cannot be decoded ({error}); replace the file or take it out of the data set"
        ) from error


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) in pixels from the file's header.

    Raises
    ------
    ImageError
        If the file is missing or is not an image.
    """
    if is_member(path):
        height, width = _member(path).shape[:2]
        return height, width
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except FileNotFoundError as error:
        raise _missing(path) from error
    except OSError as error:
        raise ImageError(f"{path}: is not an image ({error}); replace it or take it out of the data set") from error
