"""Ground truth of instances: BOP's masks, COCO annotations, or PNG files of instance numbers beside a folder set.

::

    root/instances/NAME.png           instance of each pixel (8 or 16 bits), 0 = none; beside images/NAME.jpg
    root/instances/PART/NAME.png      the same beside images/PART/NAME.jpg

Only scores and pictures may open them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.errors import ImageError
from data.files.coco_file import annotations_of
from data.files.encodings import read_label_values
from data.files.instances import instance_mask
from data.files.labels import decode_labels, read_truth
from data.files.working_size import fitted, full_size, size_in_files
from data.sample import UNLABELLED, Sample


class TrueInstance(NamedTuple):
    """One instance of the ground truth.

    Attributes
    ----------
    class_number : int
        1..K; 0 if the data set does not say.
    mask : ndarray, (H, W), bool
        Visible pixels.
    ignored : bool
        A crowd (COCO), or an object that is hardly visible (BOP: no tag of its image). It is neither right nor wrong.
    """

    class_number: int
    mask: np.ndarray
    ignored: bool


def instance_file(sample: Sample) -> Path | None:
    """The file of instance numbers of an image of a folder set; None if there is none.

    It has the name that a label map in ``masks/`` has: the path of the image below ``images/``, or else the last part
    of this path. With one folder for each class, which the image id has, too, the last part alone names no image.
    """
    for folder in sample.image.parents:
        if folder.name == "images":
            below = sample.image.relative_to(folder).with_suffix("").as_posix()
            names = (below, sample.image.stem) if sample.image_id.count("/") == 1 else (below,)
            for name in names:
                for ending in (".png", ".PNG"):
                    path = folder.parent / "instances" / f"{name}{ending}"
                    if path.is_file():
                        return path
            return None
    return None


def read_instances(sample: Sample, num_classes: int, table: int = 0) -> list[TrueInstance] | None:
    """The true instances of an image; None if it has no such ground truth.

    Parameters
    ----------
    sample : Sample
        With its ground truth.
    num_classes : int
        Foreground classes K.
    table : int
        Number in a file of instance numbers that is the support and no object (1 in the data sets of UOIS); 0 = none.

    Raises
    ------
    ImageError
        If a file cannot be decoded or differs in size from the image.
    """
    masks = [layer for layer in sample.truth if layer.class_index is not None]
    if masks:
        found = [_whole(decode_labels(layer, sample.size) > 0, layer.path, sample) for layer in masks]
        return [
            TrueInstance(int(layer.class_index or 0), mask, layer.class_index not in sample.tags)
            for layer, mask in zip(masks, found, strict=True)
            if mask.any()
        ]
    for layer in sample.truth:
        if layer.encoding == "coco":
            return _of_coco(layer.path, int(layer.member), sample)
    path = instance_file(sample)
    return None if path is None else _of_numbers(path, sample, num_classes, table)


def instance_map(instances: Sequence[TrueInstance], shape: tuple[int, int]) -> np.ndarray:
    """Numbers 1..N of the instances in their order, (H, W) int64; smaller ones cover larger ones. Ignored: 0."""
    numbers = np.zeros(shape, np.int64)
    kept = [(number, item) for number, item in enumerate(instances, start=1) if not item.ignored]
    for number, item in sorted(kept, key=lambda pair: -int(pair[1].mask.sum())):
        numbers[item.mask] = number
    return numbers


def _of_coco(path: Path, image_id: int, sample: Sample) -> list[TrueInstance]:
    instances, class_of = annotations_of(path)
    found = []
    for item in instances.get(image_id, ()):
        try:
            mask = fitted(instance_mask(item["segmentation"], size_in_files(sample)), sample)
        except ValueError as error:
            raise ImageError(f"{path}: annotation {item['id']}: {error}; correct the annotation") from error
        if mask.any():
            found.append(TrueInstance(class_of[item["category_id"]], mask, bool(item.get("iscrowd"))))
    return found


def _of_numbers(path: Path, sample: Sample, num_classes: int, table: int) -> list[TrueInstance]:
    values = read_label_values(path)
    numbers = _whole(values.astype(np.int64), path, sample)
    labels = read_truth(sample, num_classes)
    found = []
    for number in np.unique(numbers).tolist():
        if number not in (0, table):
            mask = numbers == number
            classes = np.zeros(0, np.int64) if labels is None else labels[mask & (labels != UNLABELLED)]
            found.append(TrueInstance(int(np.bincount(classes).argmax()) if classes.size else 0, mask, False))
    return found


def _whole(values: np.ndarray, path: Path, sample: Sample) -> np.ndarray:
    shape = full_size(sample) if sample.size == (0, 0) else sample.size
    values = fitted(values, sample)
    if values.shape != shape:
        raise ImageError(
            f"{path}: mask has shape {values.shape}, but image {sample.image_id} has {shape}; give both the same size"
        )
    return values
