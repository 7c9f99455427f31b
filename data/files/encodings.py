"""Encodings of label files. Each function decodes the labels of one image into class numbers."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from data.errors import ImageError
from data.files.coco_file import annotations_of, read_coco_file
from data.files.pixels import read_file
from data.sample import UNLABELLED

CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""Label ids of the 19 evaluated classes, in the order of their train ids."""

SUIM_COLOURS = (
    (0, 0, 0), (0, 0, 255), (0, 255, 0), (0, 255, 255), (255, 0, 0), (255, 0, 255), (255, 255, 0), (255, 255, 255),
)  # fmt: skip
"""Background (water), human diver, aquatic plants, wrecks, robots, reefs, fish, sea floor."""


def cityscapes(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """``*_labelIds.png``: label ids become train ids; all other ids become unlabelled."""
    table = np.full(256, UNLABELLED, np.uint8)
    table[list(CITYSCAPES_IDS)] = np.arange(len(CITYSCAPES_IDS))
    return table[read_file(path).astype(np.uint8)]


def suim(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """``*.bmp``: each channel is on or off. Lossy compression left values in between; the threshold is 127."""
    bits = (read_file(path, "RGB") > 127).astype(np.uint8)
    return bits @ np.array([4, 2, 1], np.uint8)


def pannuke(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """An item (H, W, 6) of ``masks.npy``: instance numbers of five cell types, then the background."""
    instances = read_file(path)
    labels = np.zeros(instances.shape[:2], np.uint8)
    for channel in range(5):
        labels[instances[..., channel] > 0] = channel + 1
    return labels


def sbd(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """``cls/*.mat`` of the Semantic Boundaries Dataset."""
    from scipy.io import loadmat

    try:
        return loadmat(path, simplify_cells=True)["GTcls"]["Segmentation"]
    except Exception as error:  # scipy's reader raises errors of many kinds
        raise ImageError(f"{path}: is not an SBD annotation ({error}); download the file again") from error


def coco(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """Instances of one image in a COCO file; ``member`` is the image's id.

    Smaller instances cover larger ones; crowds are unlabelled. Classes are numbered 1.. in the order of the
    category ids, which have gaps (80 classes, ids up to 90).
    """
    instances, class_of = annotations_of(path)
    labels = np.zeros(shape, np.uint8)
    found = sorted(instances.get(int(member), ()), key=lambda item: -item["area"])
    for item in sorted(found, key=lambda item: -item.get("iscrowd", 0)):
        labels[instance_mask(item["segmentation"], shape)] = (
            UNLABELLED if item.get("iscrowd") else class_of[item["category_id"]]
        )
    return labels


def coco_polygons(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """Coarse polygons in a COCO file, drawn in the order of the file; uncovered pixels are unlabelled.

    ``member`` holds the image's file name and the class names, separated by ``|``, in the order of their numbers.
    """
    file_name, *class_names = member.split("|")
    content = read_coco_file(path)
    category_names = {item["id"]: item["name"] for item in content["categories"]}
    image_ids = {item["id"] for item in content["images"] if item["file_name"] == file_name}
    if not image_ids:
        raise ImageError(f"{path}: has no image '{file_name}'; annotate it or take it out of the data set")
    labels = np.full(shape, UNLABELLED, np.uint8)
    for item in content["annotations"]:
        if item["image_id"] in image_ids:
            class_number = _class_number(category_names.get(item["category_id"]), class_names, path)
            labels[instance_mask(item["segmentation"], shape)] = class_number
    return labels


def labelme(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """Polygons of a labelme file, drawn in the order of the file; uncovered pixels are unlabelled.

    ``member`` holds the class names, separated by ``|``, in the order of their numbers.
    """
    class_names = member.split("|")
    labels = np.full(shape, UNLABELLED, np.uint8)
    for item in _labelme_shapes(path):
        class_number = _class_number(item["label"], class_names, path)
        corners = [value for point in item["points"] for value in point]
        labels[polygon_mask([corners], shape)] = class_number
    return labels


def _class_number(name: str | None, class_names: Sequence[str], path: Path) -> int:
    if name not in class_names:
        raise ImageError(f"{path}: class '{name}' is unknown; use one of: {', '.join(class_names)}")
    return class_names.index(name)


@functools.lru_cache(maxsize=8)
def _labelme_shapes(path: Path) -> list[dict]:
    try:
        shapes = json.loads(path.read_text())["shapes"]
        return [{"label": item["label"], "points": item["points"]} for item in shapes]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageError(f"{path}: is not a labelme file ({error}); export it again") from error


def instance_mask(segmentation, shape: tuple[int, int]) -> np.ndarray:
    """A COCO segmentation as (H, W) bool: polygons, or run lengths down the columns.

    Examples
    --------
    >>> instance_mask({"size": [2, 3], "counts": [1, 2, 3]}, (2, 3)).astype(int)
    array([[0, 1, 0],
           [1, 0, 0]])
    """
    if not isinstance(segmentation, dict):
        return polygon_mask(segmentation, shape)
    if isinstance(segmentation["counts"], list):
        counts = segmentation["counts"]
        return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(shape, order="F")
    from pycocotools import mask as coco_mask

    with warnings.catch_warnings():  # its __array__ is older than NumPy 2
        warnings.simplefilter("ignore", DeprecationWarning)
        return coco_mask.decode(segmentation).astype(bool)


def polygon_mask(polygons: Sequence[Sequence[float]], shape: tuple[int, int]) -> np.ndarray:
    """Polygons ``x, y, x, y, ...`` in pixels as (H, W) bool; the border belongs to the polygon.

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
    for corners in polygons:
        if len(corners) >= 6:
            draw.polygon(list(corners), fill=1, outline=1)
    return np.asarray(canvas)


ENCODINGS: dict[str, Callable[[Path, str, tuple[int, int]], np.ndarray]] = {
    "cityscapes": cityscapes,
    "coco": coco,
    "coco_polygons": coco_polygons,
    "labelme": labelme,
    "pannuke": pannuke,
    "sbd": sbd,
    "suim": suim,
}
"""name -> (file, member, (height, width) of the image) -> label map (H, W), integer."""
