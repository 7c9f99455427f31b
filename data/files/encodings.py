"""How label files store classes, by name: each turns one image's labels into class numbers."""

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
    """``*_labelIds.png``: label ids to train ids; all others are void."""
    table = np.full(256, UNLABELLED, np.uint8)
    table[list(CITYSCAPES_IDS)] = np.arange(len(CITYSCAPES_IDS))
    return table[read_file(path).astype(np.uint8)]


def suim(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """``*.bmp``: each channel is on or off; the files' compression leaves values between, cut in the middle."""
    bits = (read_file(path, "RGB") > 127).astype(np.uint8)
    return bits @ np.array([4, 2, 1], np.uint8)


def pannuke(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """An item (H, W, 6) of ``masks.npy``: instance numbers of five cell types, then the background."""
    instances = read_file(path)
    labels = np.zeros(instances.shape[:2], np.uint8)
    for number in range(5):
        labels[instances[..., number] > 0] = number + 1
    return labels


def sbd(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """``cls/*.mat`` of the Semantic Boundaries Dataset."""
    from scipy.io import loadmat

    try:
        return loadmat(path, simplify_cells=True)["GTcls"]["Segmentation"]
    except Exception as error:  # scipy's reader raises many
        raise ImageError(f"{path}: is no SBD annotation ({error}); fetch the file again") from error


def coco(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """An image's instances in a COCO file, ``member`` its id; small ones lie upon large ones, crowds are void.

    Classes are numbered 1.. in the order of the categories' ids, which have gaps (80 classes, ids up to 90).
    """
    by_image, class_of = annotations_of(path)
    labels = np.zeros(shape, np.uint8)
    found = sorted(by_image.get(int(member), ()), key=lambda item: -item["area"])
    for item in sorted(found, key=lambda item: -item.get("iscrowd", 0)):
        labels[instance_mask(item["segmentation"], shape)] = (
            UNLABELLED if item.get("iscrowd") else class_of[item["category_id"]]
        )
    return labels


def coco_polygons(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """Coarse polygons in a COCO file, in the order listed; what none covers is void.

    ``member`` holds the image's file name and the class names, separated by ``|``, in the order of their numbers.
    """
    name, *names = member.split("|")
    content = read_coco_file(path)
    title = {item["id"]: item["name"] for item in content["categories"]}
    images = {item["id"] for item in content["images"] if item["file_name"] == name}
    if not images:
        raise ImageError(f"{path}: has no image '{name}'; annotate it or take it out of the data set")
    labels = np.full(shape, UNLABELLED, np.uint8)
    for item in content["annotations"]:
        if item["image_id"] in images:
            if (label := title.get(item["category_id"])) not in names:
                raise ImageError(f"{path}: class '{label}' is unknown; there are {', '.join(names)}")
            labels[instance_mask(item["segmentation"], shape)] = names.index(label)
    return labels


def instance_mask(segmentation, shape: tuple[int, int]) -> np.ndarray:
    """A COCO segmentation (polygons, or run lengths down the columns) as (H, W) bool."""
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
    """Polygons ``x, y, x, y, ...`` in pixels as (H, W) bool."""
    canvas = Image.new("1", (shape[1], shape[0]))
    draw = ImageDraw.Draw(canvas)
    for corners in polygons:
        if len(corners) >= 6:
            draw.polygon(list(corners), fill=1, outline=1)
    return np.asarray(canvas)


def labelme(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """A labelme file: polygons with class names, in the order drawn; what none covers is void.

    ``member`` holds the class names, separated by ``|``, in the order of their numbers.
    """
    names = {name: number for number, name in enumerate(member.split("|"))}
    labels = np.full(shape, UNLABELLED, np.uint8)
    for item in _labelme_shapes(path):
        if item["label"] not in names:
            raise ImageError(f"{path}: class '{item['label']}' is unknown; there are {', '.join(names)}")
        corners = [value for point in item["points"] for value in point]
        labels[polygon_mask([corners], shape)] = names[item["label"]]
    return labels


@functools.lru_cache(maxsize=8)
def _labelme_shapes(path: Path) -> list[dict]:
    try:
        shapes = json.loads(path.read_text())["shapes"]
        return [{"label": item["label"], "points": item["points"]} for item in shapes]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageError(f"{path}: is no labelme file ({error}); export it again") from error


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
