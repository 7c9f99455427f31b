"""Encodings of label files. Each function decodes the labels of one image into class numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from data.errors import ImageError
from data.files.coco_file import annotations_of, read_coco_file, sizes_of
from data.files.instances import instance_mask, polygon_mask
from data.files.labelme_file import read_labelme_file
from data.files.matlab_file import read_byte_matrix
from data.files.pixels import GREY_16, read_colours, read_member, read_values
from data.files.regular_file import read_bytes
from data.sample import UNLABELLED

CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""Label ids of the 19 evaluated classes, in the order of their train ids."""

SUIM_COLOURS = (
    (0, 0, 0), (0, 0, 255), (0, 255, 0), (0, 255, 255), (255, 0, 0), (255, 0, 255), (255, 255, 0), (255, 255, 255),
)  # fmt: skip
"""Background (water), human diver, aquatic plants, wrecks, robots, reefs, fish, sea floor."""


UNLABELLED_IN_BYTES = 255
"""Value of pixels without a label in label files of 8 bits."""


def from_bytes(labels: np.ndarray) -> np.ndarray:
    """Label map of 8 bits -> 16 bits, (H, W) uint16; pixels without a label get their value of `data.sample`.

    Examples
    --------
    >>> from_bytes(np.array([[0, 7, 255]], np.uint8)).tolist()
    [[0, 7, 65535]]
    """
    return np.where(labels == UNLABELLED_IN_BYTES, np.uint16(UNLABELLED), labels.astype(np.uint16))


def read_label_values(path: Path) -> np.ndarray:
    """Values of a label file with one channel as they are stored, (H, W) bool or integer; raises as `read_values`."""
    advice = "a label map holds class numbers: save it as PNG with 8 bits, indexed colours or 16 bits"
    return read_values(path, ("1", "L", "P", *GREY_16, "I"), advice)


def plain(path: Path) -> np.ndarray:
    """A label map of class numbers, (H, W) uint16; 255 in a file of 8 bits becomes unlabelled.

    Raises
    ------
    ImageError
        If the file cannot be decoded, or is not a label map of 8 or 16 bits.
    """
    values = read_label_values(path)
    if values.ndim != 2 or values.dtype.kind not in "bui" or values.min() < 0 or values.max() > UNLABELLED:
        raise ImageError(
            f"{path}: is not a label map (values of type {values.dtype}, shape {values.shape}); "
            "save class numbers in one channel of 8 or 16 bits"
        )
    return from_bytes(values) if values.dtype.itemsize == 1 else values.astype(np.uint16)


def merged(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """A label map whose classes are merged; ``member`` lists the new number of each class 0..K, separated by commas."""
    numbers = np.array(member.split(","), np.uint16)
    labels = plain(path)
    unlabelled = (labels == UNLABELLED) | ((labels == UNLABELLED_IN_BYTES) & (len(numbers) <= UNLABELLED_IN_BYTES))
    unknown = labels[~unlabelled & (labels >= len(numbers))]
    if unknown.size:
        raise ImageError(f"{path}: class number {unknown.min()} is unknown; use 0..{len(numbers) - 1}")
    return np.where(unlabelled, np.uint16(UNLABELLED), numbers[np.where(unlabelled, 0, labels)])


def cityscapes(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """``*_labelIds.png``: label ids become train ids; all other ids become unlabelled."""
    ids = read_values(path, ("L",), "label ids have 8 bits: download the file again")
    table = np.full(256, UNLABELLED, np.uint16)
    table[list(CITYSCAPES_IDS)] = np.arange(len(CITYSCAPES_IDS))
    return table[ids]


def suim(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """``*.bmp``: each channel is on or off. Lossy compression left values in between; the threshold is 127."""
    bits = (read_colours(path) > 127).astype(np.uint16)
    return bits @ np.array([4, 2, 1], np.uint16)


def pannuke(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """An item (H, W, 6) of ``masks.npy``: instance numbers of five cell types, then the background."""
    instances = read_member(path)
    if instances.ndim != 3 or instances.shape[2] != 6:
        raise ImageError(
            f"{path.parent}: item {path.name} has shape {instances.shape} instead of (H, W, 6); download the file again"
        )
    labels = np.zeros(instances.shape[:2], np.uint16)
    for channel in range(5):
        labels[instances[..., channel] > 0] = channel + 1
    return labels


def sbd(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """``cls/*.mat`` of the Semantic Boundaries Dataset."""
    content = read_bytes(path)
    try:
        return from_bytes(read_byte_matrix(content, "GTcls", "Segmentation"))
    except ValueError as error:
        raise ImageError(f"{path}: is not an SBD annotation ({error}); download the file again") from error


def coco(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """Instances of one image in a COCO file; ``member`` is the image's id.

    Smaller instances cover larger ones; crowds are unlabelled. Classes are numbered 1.. in the order of the
    category ids, which have gaps (80 classes, ids up to 90).
    """
    instances, class_of = annotations_of(path)
    _check_size(path, sizes_of(path).get(int(member), (None, None)), shape)
    labels = np.zeros(shape, np.uint16)
    found = sorted(instances.get(int(member), ()), key=lambda item: -item["area"])
    for item in sorted(found, key=lambda item: -item.get("iscrowd", 0)):
        labels[_drawn(path, item, shape)] = UNLABELLED if item.get("iscrowd") else class_of[item["category_id"]]
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
    for image_id in image_ids:
        _check_size(path, sizes_of(path)[image_id], shape)
    labels = np.full(shape, UNLABELLED, np.uint16)
    for item in content["annotations"]:
        if item["image_id"] in image_ids:
            class_number = _class_number(category_names[item["category_id"]], class_names, path)
            labels[_drawn(path, item, shape)] = class_number
    return labels


def labelme(path: Path, member: str, shape: tuple[int, int]) -> np.ndarray:
    """Polygons of a labelme file, drawn in the order of the file; uncovered pixels are unlabelled.

    ``member`` holds the class names, separated by ``|``, in the order of their numbers.
    """
    class_names = member.split("|")
    size, polygons = read_labelme_file(path)
    _check_size(path, size or (None, None), shape)
    labels = np.full(shape, UNLABELLED, np.uint16)
    for label, corners in polygons:
        labels[polygon_mask([corners], shape)] = _class_number(label, class_names, path)
    return labels


def _check_size(path: Path, size: tuple[int | None, int | None], shape: tuple[int, int]) -> None:
    """Check that polygons were drawn on an image of this shape, and not on the same image before it was turned."""
    if None not in size and size != shape:
        raise ImageError(
            f"{path}: was drawn on an image of {size[1]}x{size[0]}, but the image is {shape[1]}x{shape[0]}"
        )


def _drawn(path: Path, item: dict, shape: tuple[int, int]) -> np.ndarray:
    try:
        return instance_mask(item["segmentation"], shape)
    except ValueError as error:
        raise ImageError(
            f"{path}: annotation {item['id']} is damaged: {error}; correct it or export it again"
        ) from error


def _class_number(name: str, class_names: Sequence[str], path: Path) -> int:
    if name not in class_names:
        raise ImageError(f"{path}: class '{name}' is unknown; use one of: {', '.join(class_names)}")
    return class_names.index(name)


ENCODINGS: dict[str, Callable[[Path, str, tuple[int, int]], np.ndarray]] = {
    "cityscapes": cityscapes,
    "coco": coco,
    "coco_polygons": coco_polygons,
    "labelme": labelme,
    "merged": merged,
    "pannuke": pannuke,
    "sbd": sbd,
    "suim": suim,
}
"""name -> (file, member, (height, width) of the image) -> label map (H, W), uint16."""
