"""Annotation files of the program labelme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data.errors import DatasetError
from data.files.facts import kept_while_unchanged
from data.files.instances import is_coordinate
from data.files.json_file import is_whole, read_json


@kept_while_unchanged(8)
def read_labelme_file(path: Path) -> tuple[tuple[int, int] | None, list[tuple[str, list[float]]]]:
    """Image size and polygons of a labelme file.

    Returns
    -------
    size : (int, int) or None
        Height and width of the image that was annotated, in pixels; None if the file does not say.
    polygons : list of (label, corners)
        Corners are ``x, y, x, y, ...`` in pixels. A rectangle is given as its four corners.

    Raises
    ------
    DatasetError
        As `read_json`, and if the file has no list ``shapes``, or a shape is no polygon or rectangle with a label.
    """
    content = read_json(path)
    sides: list[Any] = [content.get(key) for key in ("imageHeight", "imageWidth")]
    if sides != [None, None] and not all(is_whole(side, 1) for side in sides):
        raise DatasetError(f"{path}: has the image size {sides!r:.60}, which is no size in pixels; annotate it again")
    if not isinstance(content.get("shapes"), list):
        raise DatasetError(f"{path}: is not a labelme file (it has no list 'shapes'); export it again")
    polygons = []
    for position, shape in enumerate(content["shapes"]):
        if not isinstance(shape, dict) or not isinstance(shape.get("label"), str):
            raise DatasetError(f"{path}: shape {position} has no label; annotate it again")
        kind: Any = shape.get("shape_type") or "polygon"
        points: Any = shape.get("points")
        if kind not in ("polygon", "rectangle"):
            raise DatasetError(f"{path}: shape {position} is a {kind!r:.40}; draw a polygon or a rectangle instead")
        if not _are_points(points) or (len(points) != 2 if kind == "rectangle" else len(points) < 3):
            raise DatasetError(f"{path}: shape {position}, a {kind}, has no list of its corners x, y; draw it again")
        if kind == "rectangle":
            (left, top), (right, bottom) = points
            points = [(left, top), (right, top), (right, bottom), (left, bottom)]
        polygons.append((shape["label"], [value for point in points for value in point]))
    return None if sides == [None, None] else (sides[0], sides[1]), polygons


def _are_points(points: Any) -> bool:
    return isinstance(points, list) and all(
        isinstance(point, list) and len(point) == 2 and all(map(is_coordinate, point)) for point in points
    )
