"""Masks of the instances in annotation files: polygons, and run lengths of COCO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from data.files.json_file import is_number, is_whole

FARTHEST = 1e6
"""Largest coordinate of a polygon, in pixels."""

LONGEST = 1e7
"""Longest line around the polygons of a COCO segmentation, in pixels; pycocotools needs 40 bytes for each."""


def instance_mask(segmentation: Any, shape: tuple[int, int]) -> np.ndarray:
    """A COCO segmentation as (H, W) bool: polygons, or run lengths down the columns.

    The corners of polygons lie on the edges of pixels, (0, 0) is the upper left corner of the image: the same square
    has fewer pixels than with `polygon_mask`. They are drawn by pycocotools, so masks are those of COCO's own scores.

    Raises
    ------
    ValueError
        If it has another form, or its run lengths are not those of an image of this shape.

    Examples
    --------
    >>> instance_mask({"size": [2, 3], "counts": [1, 2, 3]}, (2, 3)).astype(int)
    array([[0, 1, 0],
           [1, 0, 0]])
    >>> instance_mask([[1, 1, 3, 1, 3, 2, 1, 2]], (3, 4)).astype(int)
    array([[0, 0, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    if not isinstance(segmentation, dict):
        return _coco_polygons(segmentation, shape)
    counts = segmentation.get("counts")
    if segmentation.get("size") != list(shape):
        raise ValueError(f"its run lengths are of size {segmentation.get('size')!r:.40}, the image is {list(shape)}")
    if isinstance(counts, str):
        counts = _unpacked(counts)
    if not isinstance(counts, list) or not all(map(is_whole, counts)) or sum(counts) != shape[0] * shape[1]:
        raise ValueError("its run lengths are no numbers of at least 0 whose sum is the number of pixels")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(shape, order="F")


def _unpacked(text: str) -> list[int]:
    """COCO's compressed run lengths as numbers. pycocotools writes outside of its memory if they are damaged.

    Each number has 5 bits per character, the lowest first. From the fourth on, it is added to the last but one.

    Examples
    --------
    >>> _unpacked("123O")
    [1, 2, 3, 1]
    """
    counts: list[int] = []
    value = bits = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or bits > 30:
            raise ValueError("its compressed run lengths are damaged")
        value |= (code & 31) << bits
        bits += 5
        if not code & 32:  # the last character of a number
            if code & 16:
                value -= 1 << bits
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = bits = 0
    if bits:
        raise ValueError("its compressed run lengths are cut")
    return counts


def _coco_polygons(polygons: Any, shape: tuple[int, int]) -> np.ndarray:
    drawn = [np.array(corners, np.float64) for corners in _with_area(polygons)]
    if not drawn:
        return np.zeros(shape, bool)
    if sum(np.abs(corners - np.roll(corners, 2)).sum() for corners in drawn) > LONGEST:
        raise ValueError(f"the lines of its polygons are longer than {LONGEST:.0f} pixels")
    joined = coco_mask.merge(coco_mask.frPyObjects(drawn, *shape))
    return instance_mask({"size": list(shape), "counts": joined["counts"].decode()}, shape)


def polygon_mask(polygons: Sequence[Sequence[float]], shape: tuple[int, int]) -> np.ndarray:
    """Polygons ``x, y, x, y, ...`` as (H, W) bool, as labelme draws them; the border belongs to the polygon.

    Coordinates are in pixels; whole numbers are the centres of pixels. A polygon of one or two corners has no area: it
    is left out.

    Raises
    ------
    ValueError
        If a polygon is no list of finite numbers of even length.

    Examples
    --------
    >>> polygon_mask([[1, 1, 3, 1, 3, 2, 1, 2]], (4, 5)).astype(int)
    array([[0, 0, 0, 0, 0],
           [0, 1, 1, 1, 0],
           [0, 1, 1, 1, 0],
           [0, 0, 0, 0, 0]])
    """
    canvas = Image.new("1", (shape[1], shape[0]))
    draw = ImageDraw.Draw(canvas)
    for corners in _with_area(polygons):
        draw.polygon(corners, fill=1, outline=1)
    return np.asarray(canvas)


def _with_area(polygons: Any) -> list[list[float]]:
    """The polygons of at least three corners, all of which are checked."""
    if not isinstance(polygons, list):
        raise ValueError("its segmentation is neither a list of polygons nor run lengths")
    for corners in polygons:
        if not isinstance(corners, list) or len(corners) % 2 or not all(map(is_coordinate, corners)):
            raise ValueError("a polygon is no list of coordinates x, y, x, y, ...")
    return [corners for corners in polygons if len(corners) >= 6]


def is_coordinate(value: Any) -> bool:
    """True for a finite number that can be a coordinate in an image."""
    return is_number(value, -FARTHEST, FARTHEST)
