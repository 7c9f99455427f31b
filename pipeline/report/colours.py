"""Arrays of the artifacts as pictures. A picture is an array (H, W, 3) uint8."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from data.sample import UNLABELLED
from models.palette import palette

UNLABELLED_COLOUR = (232, 232, 232)
PANEL_WIDTH = 240
"""Maximum width of a picture in a page, in pixels."""


def colour_labels(labels: np.ndarray, num_classes: int, image: np.ndarray | None = None) -> np.ndarray:
    """Label map (H, W) uint16 -> picture; half transparent over `image`, if it is given."""
    table = np.tile(np.array(UNLABELLED_COLOUR, np.uint8), (UNLABELLED + 1, 1))
    table[:num_classes] = palette(num_classes)
    coloured = table[labels]
    if image is None:
        return coloured
    return (0.4 * image + 0.6 * coloured).astype(np.uint8)


def colour_depth(depth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Depth (H, W) in metres -> viridis between its 2nd and 98th percentile, near = bright, not measured = black."""
    if not valid.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    low, high = np.percentile(depth[valid], (2, 98))
    scaled = np.clip((high - np.nan_to_num(depth, nan=high)) / max(high - low, 1e-6), 0, 1)
    coloured = (matplotlib.colormaps["viridis"](scaled)[..., :3] * 255).astype(np.uint8)
    coloured[~valid] = 0
    return coloured


def colour_heat(values: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
    """Values (H, W) in [0, 1] -> heat map (inferno); half transparent over `image`, if it is given."""
    heat = matplotlib.colormaps["inferno"](np.nan_to_num(values))[..., :3] * 255
    return (heat if image is None else 0.35 * image + 0.65 * heat).astype(np.uint8)


def colour_superpixels(labels: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
    """Superpixels (H, W) -> twenty colours in turn, over the grey `image` if it is given.

    Colours are better than borders here, because borders would hide small superpixels.
    """
    coloured = palette(21)[1:][labels % 20].astype(np.float64)
    if image is None:
        return coloured.astype(np.uint8)
    grey = image.mean(2, keepdims=True)
    return (0.5 * grey + 0.5 * coloured).astype(np.uint8)


def colour_instances(instances: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
    """Instance map (H, W), 0 = none -> twenty colours in turn on almost black; half transparent over `image`."""
    table = palette(21)
    coloured = np.where((instances > 0)[..., None], table[1:][(instances.astype(np.int64) - 1) % 20], table[0])
    return (coloured if image is None else 0.4 * image + 0.6 * coloured).astype(np.uint8)


def small_png(picture: np.ndarray, width: int, colours: int) -> bytes:
    """The picture as PNG with at most `width` pixels per row and `colours` colours. JPEG would blur label borders."""
    image = Image.fromarray(picture)
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.quantize(colours).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def data_uri(picture: np.ndarray, width: int = PANEL_WIDTH) -> str:
    """The picture as the source of an <img>, at most `width` pixels wide."""
    # 128 colours are enough for a panel of this size and need a third of the bytes.
    return "data:image/png;base64," + base64.b64encode(small_png(picture, width, colours=128)).decode()


def sheet(pictures: list[np.ndarray], columns: int = 4, gap: int = 4) -> np.ndarray:
    """Pictures of any size on one white sheet, row by row, with `gap` pixels between them."""
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (0, 1))
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    whole = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        y, x = (gap + (number // columns) * (height + gap), gap + (number % columns) * (width + gap))
        whole[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return whole


def save_sheet(path: Path, pictures: list[np.ndarray], columns: int, width: int = 1400) -> None:
    """Write a `sheet` of pictures as a small PNG: at most `width` pixels wide, 256 colours."""
    path.write_bytes(small_png(sheet(pictures, columns), width, colours=256))
