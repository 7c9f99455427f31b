"""Images in messages of ROS: sensor_msgs/Image and sensor_msgs/CompressedImage, of colour and of depth."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from data.errors import ImageError
from data.files.pixels import GREY_16
from data.recordings.frames import COLOUR, DEPTH, millimetres

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
"""Types of messages, as the library rosbags names those of ROS 1, too."""

COLOUR_ENCODINGS = {"rgb8": (3, (0, 1, 2)), "bgr8": (3, (2, 1, 0)), "rgba8": (4, (0, 1, 2)), "bgra8": (4, (2, 1, 0))}
"""Encoding of a raw image -> bytes of a pixel, and where red, green and blue are in it."""

DEPTH_ENCODINGS = {"16UC1": ("u2", 1000.0), "mono16": ("u2", 1000.0), "32FC1": ("f4", 1.0)}
"""Encoding of a raw depth image -> its type, and counts per metre (REP 118: millimetres, or floats in metres)."""

DEPTH_HEADER = struct.Struct("<iff")
"""What a compressed depth image begins with: a number of the format, and two constants for floats."""


def stream_of(kind: str, message: Any) -> str | None:
    """The stream that a message belongs to by its encoding: `COLOUR` or `DEPTH`; None for others, such as infrared."""
    name = encoding_of(kind, message)
    if kind == COMPRESSED:
        is_depth = "compressedDepth" in name or name.split(";")[0].strip() in DEPTH_ENCODINGS
        return DEPTH if is_depth else COLOUR if ("jpeg" in name or "jpg" in name or "png" in name) else None
    return COLOUR if name in COLOUR_ENCODINGS else DEPTH if name in DEPTH_ENCODINGS else None


def encoding_of(kind: str, message: Any) -> str:
    """How the message says that it stores its pixels, such as ``rgb8`` or ``16UC1; compressedDepth png``."""
    return str(message.format if kind == COMPRESSED else message.encoding)


def read_colour(kind: str, message: Any, place: str) -> np.ndarray:
    """Colours of a message, (H, W, 3) uint8 in RGB.

    Parameters
    ----------
    kind : str
        `RAW` or `COMPRESSED`.
    message : object
        With the fields of the message.
    place : str
        For the error line.

    Raises
    ------
    ImageError
        If the message is cut, damaged or of another encoding.
    """
    if kind == COMPRESSED:
        picture = _picture(bytes(message.data), place)
        if picture.mode in GREY_16 or picture.mode == "I":
            raise ImageError(f"{place}: colour is grey of 16 bits, such as infrared; name another topic with --colour")
        return np.asarray(picture.convert("RGB"))
    if message.encoding not in COLOUR_ENCODINGS:
        raise ImageError(f"{place}: has the encoding '{message.encoding}'; colour must be {_names(COLOUR_ENCODINGS)}")
    channels, order = COLOUR_ENCODINGS[message.encoding]
    pixels = _rows(message, channels, place).reshape(message.height, message.width, channels)
    return np.ascontiguousarray(pixels[..., order])


def read_depth(kind: str, message: Any, place: str, counts_per_metre: float = 0) -> np.ndarray:
    """Depth of a message, (H, W) uint16 in millimetres, 0 = not measured.

    A compressed depth image is a PNG file behind `DEPTH_HEADER`. Of floats, it holds the inverse depth x: the depth is
    A / (x - B) in metres, with the constants A and B of the header, and x = 0 where nothing was measured (ROS,
    image_transport_plugins, compressed_depth_image_transport).

    Parameters
    ----------
    kind, message, place
        As of `read_colour`.
    counts_per_metre : float
        0 = as the encoding says (`DEPTH_ENCODINGS`).

    Raises
    ------
    ImageError
        If the message is cut, damaged or of another encoding.
    """
    if kind == COMPRESSED:
        return _compressed_depth(message, place, counts_per_metre)
    if message.encoding not in DEPTH_ENCODINGS:
        raise ImageError(f"{place}: has the encoding '{message.encoding}'; depth must be {_names(DEPTH_ENCODINGS)}")
    letter, usual = DEPTH_ENCODINGS[message.encoding]
    kind_of_value = np.dtype((">" if message.is_bigendian else "<") + letter)
    rows = np.ascontiguousarray(_rows(message, kind_of_value.itemsize, place))
    return millimetres(rows.view(kind_of_value).astype(kind_of_value.newbyteorder("=")), counts_per_metre or usual)


def jpeg_of(kind: str, message: Any) -> bytes | None:
    """The JPEG file in a message; None if it holds none, or one with an EXIF orientation, which depth does not have."""
    if kind != COMPRESSED or bytes(message.data[:3]) != b"\xff\xd8\xff":
        return None
    content = bytes(message.data)
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as picture:
        is_turned = picture.getexif().get(ExifTags.Base.Orientation, 1) != 1
    return None if is_turned else content


def _compressed_depth(message: Any, place: str, counts_per_metre: float) -> np.ndarray:
    if "rvl" in message.format.casefold():
        raise ImageError(
            f"{place}: has the format '{message.format}'; RVL cannot be read, record compressedDepth as PNG"
        )
    content, floats = bytes(message.data), message.format.startswith("32FC1")
    factor, offset = 0.0, 0.0
    if "compressedDepth" in message.format:
        if len(content) <= DEPTH_HEADER.size:
            raise ImageError(f"{place}: holds no image, only {len(content)} bytes; record it again")
        _, factor, offset = DEPTH_HEADER.unpack_from(content)
        content = content[DEPTH_HEADER.size :]
    elif floats:
        raise ImageError(
            f"{place}: has the format '{message.format}', which cannot hold floats; record compressedDepth"
        )
    picture = _picture(content, place)
    if picture.format != "PNG" or picture.mode not in ("I;16", "I;16B", "I"):
        raise ImageError(f"{place}: depth is {picture.format} of mode {picture.mode}; it must be a PNG of 16 bits")
    raw = np.asarray(picture).astype(np.uint16)
    if not floats:
        return millimetres(raw, counts_per_metre or 1000.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(raw > 0, factor / (raw.astype(np.float64) - offset), 0.0)
    return millimetres(values, counts_per_metre or 1.0)


def _rows(message: Any, pixel_bytes: int, place: str) -> np.ndarray:
    """Bytes of the pixels of a raw image, (H, W * pixel_bytes) uint8; what lies between the rows is left out."""
    width, height, step, data = message.width * pixel_bytes, message.height, message.step, np.asarray(message.data)
    if not width or not height or step < width or data.size != step * height:
        raise ImageError(
            f"{place}: {message.width}x{height} pixels of '{message.encoding}' in rows of {step} bytes do not fit its "
            f"{data.size} bytes; the message is damaged"
        )
    return data.reshape(height, step)[:, :width]


def _picture(content: bytes, place: str) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(content), formats=("JPEG", "PNG"))
        picture.load()
        return picture
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise errors of many kinds on damaged files
        raise ImageError(f"{place}: cannot be decoded as JPEG or PNG; the message is damaged") from error


def _names(known: dict[str, Any]) -> str:
    return " or ".join([", ".join(list(known)[:-1]), list(known)[-1]])
