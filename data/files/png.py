"""PNG files in memory."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image


def png_bytes(pixels: np.ndarray, **options: Any) -> bytes:
    """The PNG file of a picture, with the same pixels when it is read back.

    Parameters
    ----------
    pixels : ndarray, (H, W) uint8 or uint16, or (H, W, 3) uint8
    **options
        Of Pillow's encoder, such as ``compress_level``.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)
    return file.getvalue()
