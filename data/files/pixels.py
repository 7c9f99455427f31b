"""Decoding of single files; every error names the file.

A path below a ``.npy`` file, such as ``images.npy/17``, means one item of that array: some data sets keep all
images in one file.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from data.errors import ImageError
from data.files.regular_file import check_regular

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jp2", ".ppm", ".pgm", ".gif")
"""File name endings of images, in lower case: of all `FORMATS`. Systems put files of their own into folders."""

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "JPEG2000", "PPM", "GIF")
"""Formats that are opened, whatever the ending of the name. Pillow knows more, and some start other programs."""

INEXACT = ("JPEG", "MPO", "JPEG2000", "WEBP", "PPM")
"""Formats that may change the values of pixels: no numbers of classes, no depth. Pillow scales those of PPM."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what shows the image upright."""

SIDEWAYS = tuple(TURNS.values())[3:]

GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N")
SCALES = {"2": 85, "4": 17}
"""Bits of a grey value in a file -> by what Pillow multiplies it."""

MODES = {
    "1": "1-bit pixels",
    "L": "8-bit grey values",
    "P": "palette colours",
    **dict.fromkeys(GREY_16, "16-bit grey values"),
    "I": "32-bit grey values",
    "F": "32-bit float values",
    "LA": "grey values with transparency",
    "RGB": "RGB colours",
    "RGBA": "RGB colours with transparency",
}
"""Pillow's modes in words."""

# Pillow warns of odd metadata, and of images near its limit of pixels. Neither changes a pixel.
warnings.filterwarnings("ignore", module=r"PIL\.")


MEMBER = f".npy{os.sep}"
"""Part of every path of an item of a ``.npy`` file. Looking for it is quick; a plan asks about every file."""


def is_member(path: str | Path) -> bool:
    """True for a path that means one item of a ``.npy`` file.

    Examples
    --------
    >>> is_member(Path("fold1/images.npy/17")), is_member(Path("fold1/images.npy"))
    (True, False)
    """
    text = os.fspath(path)
    return MEMBER in text and os.path.dirname(text).endswith(".npy")


def open_array(path: Path) -> np.ndarray:
    """Array of a ``.npy`` file, of at least one dimension; its values stay on disk until they are used.

    Raises
    ------
    ImageError
        If the file is missing or is not a ``.npy`` file of numbers.
    """
    try:
        check_regular(path)
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise _missing(path) from error
    except MemoryError:
        raise
    except Exception as error:  # NumPy's parser of the header raises errors of many kinds
        raise ImageError(
            f"{path}: is not a readable npy file ({_reason(error)}); write or download it again"
        ) from error
    if not isinstance(found, np.ndarray) or found.ndim == 0 or found.dtype.kind not in "buif":
        raise ImageError(f"{path}: does not hold an array of numbers; write or download it again")
    return found


def read_member(path: Path) -> np.ndarray:
    """One item of a ``.npy`` file; `path` is ``NAME.npy/<number>``.

    Raises
    ------
    ImageError
        As `open_array`, and if there is no such item or it holds values that are not finite.
    """
    items = open_array(path.parent)
    if not path.name.isdecimal() or int(path.name) >= len(items):
        raise ImageError(f"{path.parent}: has {len(items)} items, but no item {path.name}; download the file again")
    found = np.array(items[int(path.name)])
    if not np.isfinite(found).all():
        raise ImageError(f"{path.parent}: item {path.name} has values that are not finite; download the file again")
    return found


def _missing(path: Path) -> ImageError:
    return ImageError(f"{path}: file is missing; restore it or take its image out of the data set")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The image of a file, not yet decoded. Errors in the body, too, become an ImageError that names the file."""
    try:
        check_regular(path)
        # Given a path, Pillow maps an uncompressed TIFF into memory, and mixes up the rows of one with an orientation.
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # MPO: a photograph and its preview
                raise ImageError(f"{path}: holds several images; save each as a file of its own")
            yield image
    except FileNotFoundError as error:
        raise _missing(path) from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(
            f"{path}: is not an image (known: {', '.join(FORMATS)}); replace it or take it out of the data set"
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{path}: has more than {2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f} megapixels; make it smaller or take "
            "it out of the data set"
        ) from error
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise errors of many kinds on damaged files
        raise ImageError(
            f"{path}: cannot be decoded ({_reason(error)}); replace the file or take it out of the data set"
        ) from error


def _decode(image: Image.Image, path: Path) -> None:
    """Decode the pixels. Pillow compares the checksums of PNG only in `verify`, after which an image cannot be used."""
    if image.format == "PNG":
        with Image.open(path, formats=("PNG",)) as checked:
            checked.verify()
    image.load()


def read_colours(path: Path, mode: str = "RGB") -> np.ndarray:
    """Pixels of an image as it is shown: turned as EXIF says, without transparency, with 8 bits per value.

    16-bit grey values are divided by 257, so that 65535 becomes 255.

    Parameters
    ----------
    path : Path
    mode : {"RGB", "L"}
        Colours (H, W, 3) or grey values (H, W).

    Raises
    ------
    ImageError
        If the file is missing, cannot be decoded, is larger than Pillow's limit (179 megapixels), holds several
        images, or if the range of its values is unknown: floats, 32 bits, and 16-bit TIFF of fewer bits or inverted.
    """
    if is_member(path):
        return _colours_of(read_member(path), path, mode)
    with _opened(path) as image:
        _decode(image, path)
        turn = _turn(image)
        shown = image if turn is None else image.transpose(turn)
        if shown.mode in GREY_16 or shown.mode == "I":
            if not _has_16_bits(image):
                raise ImageError(
                    f"{path}: has {MODES[shown.mode]} of unknown range; save it with 8 bits, or as 16-bit PNG from 0 "
                    "to 65535"
                )
            shown = Image.fromarray(((np.asarray(shown).astype(np.uint32) + 128) // 257).astype(np.uint8))
        elif shown.mode == "F":
            raise ImageError(f"{path}: has {MODES['F']} of unknown range; save it with 8 bits")
        elif shown.mode == "P" and "transparency" in shown.info:
            shown = shown.convert("RGBA")
        return np.asarray(shown.convert(mode))


def _has_16_bits(image: Image.Image) -> bool:
    """True if the grey values fill 16 bits, and 0 is black."""
    if image.format == "TIFF":
        bits, photometric = 258, 262
        tags = image.tag_v2  # type: ignore[attr-defined]
        return image.mode in GREY_16 and tags.get(bits) == (16,) and tags.get(photometric) == 1
    return image.mode in GREY_16 or image.format == "PPM"  # Pillow scales PPM to 16 bits, in 32


def _colours_of(values: np.ndarray, path: Path, mode: str) -> np.ndarray:
    """An item of an array as an image. Values that are fractions up to 1 would all become black."""
    least, most = values.min(initial=0), values.max(initial=0)
    is_image = values.ndim == 3 and values.shape[2] == 3 and values.size > 0 and mode == "RGB"
    if not is_image or least < 0 or most > 255 or (most <= 1 and (values % 1).any()):
        raise ImageError(
            f"{path.parent}: item {path.name} of shape {values.shape}, with values from {least} to {most}, is not an "
            "RGB image (H, W, 3) with values from 0 to 255; write the array again"
        )
    return values.astype(np.uint8)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What shows the image upright; None if it is. Pillow decodes PNG files for it, and turns TIFF when it decodes."""
    return TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))


def read_values(path: Path, modes: Collection[str], advice: str) -> np.ndarray:
    """Values of a file with one channel as they are stored, (H, W); the indices of a palette image.

    Grey values of 2 and 4 bits are those of the file, too, though Pillow makes 255 of the largest.

    Parameters
    ----------
    path : Path
    modes : collection of str
        Pillow's modes that are accepted.
    advice : str
        What the file should be, for the error.

    Raises
    ------
    ImageError
        If the file is missing or cannot be decoded, or has another mode, a format of `INEXACT`, or an EXIF
        orientation: the pixels must lie as the image is shown, and a program may have copied the orientation of the
        photograph.
    """
    if is_member(path):
        return read_member(path)
    with _opened(path) as image:
        if image.format in INEXACT:
            raise ImageError(f"{path}: is a {image.format} file, whose values may be others; {advice}")
        if image.mode not in modes:
            raise ImageError(f"{path}: has {MODES.get(image.mode, f'pixels of mode {image.mode}')}; {advice}")
        scale = _scale(image)
        is_turned = image.format == "TIFF" and _turn(image) is not None  # Pillow turns it, and forgets that it did
        _decode(image, path)
        if is_turned or _turn(image) is not None:
            raise ImageError(f"{path}: has an EXIF orientation; turn its pixels as the image is shown, without EXIF")
        return np.asarray(image) if scale == 1 else np.asarray(image) // np.uint8(scale)


def _scale(image: Image.Image) -> int:
    """By what Pillow multiplies grey values of 2 and 4 bits, so that they fill 8 bits; known until it decodes them."""
    tiles = getattr(image, "tile", None) if image.mode == "L" else None
    arguments = tiles[0][3] if tiles else ""
    stored = arguments[0] if isinstance(arguments, tuple) else arguments
    return SCALES.get(str(stored).partition(";")[2][:1], 1)


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) in pixels of an image as `read_colours` gives it.

    Raises
    ------
    ImageError
        If the file is missing or is not an image.
    """
    if is_member(path):
        height, width = read_member(path).shape[:2]
        return height, width
    with _opened(path) as image:
        if _turn(image) is not None:
            image.load()
        return (image.width, image.height) if _turn(image) in SIDEWAYS else (image.height, image.width)


def stored_size(path: Path) -> tuple[int, int]:
    """(height, width) in pixels as the header says, for files that have no EXIF orientation; nothing is decoded.

    Raises
    ------
    ImageError
        If the file is missing or is not an image.
    """
    with _opened(path) as image:
        return image.height, image.width
