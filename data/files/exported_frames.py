"""Images with their masks, as the writers of formats of other tools take them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from data.errors import DatasetError
from data.files.instance_export import ExportedInstance
from data.files.label_export import class_masks
from data.sample import UNLABELLED, Sample

ANY_CLASS = "object"
"""Name of the class of instances that have none (class number 0)."""


class ExportedFrame(NamedTuple):
    """One image and what is on it.

    Attributes
    ----------
    name : str
        The image file relative to the folder of the data set, with ``/``; its file name if it lies elsewhere.
    path : Path
        The image file.
    size : (height, width) in pixels
    objects : sequence of ExportedInstance
        Instances, or one object per class of a label map. No two share a pixel.
    unlabelled : ndarray, (H, W), bool
        Pixels of which nothing is known.
    """

    name: str
    path: Path
    size: tuple[int, int]
    objects: Sequence[ExportedInstance]
    unlabelled: np.ndarray


def image_name(sample: Sample, root: Path) -> str:
    """The image file of a sample as tools name it, see `ExportedFrame.name`."""
    inside = sample.image.is_relative_to(root)
    return sample.image.relative_to(root).as_posix() if inside else sample.image.name


def frame_of_labels(sample: Sample, root: Path, labels: np.ndarray) -> ExportedFrame:
    """The frame of a label map (H, W) uint16: one object per class, without 0 and unlabelled."""
    objects = [ExportedInstance(class_number, None, _box(mask), mask) for class_number, mask in class_masks(labels)]
    size = (labels.shape[0], labels.shape[1])
    return ExportedFrame(image_name(sample, root), sample.image, size, objects, labels == UNLABELLED)


def frame_of_instances(
    sample: Sample, root: Path, size: tuple[int, int], instances: Sequence[ExportedInstance]
) -> ExportedFrame:
    """The frame of an image of `size` (height, width) with instances."""
    return ExportedFrame(image_name(sample, root), sample.image, size, instances, np.zeros(size, bool))


def _box(mask: np.ndarray) -> list[int]:
    """Left, top, width and height of a mask in pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]


def common_folder(names: Iterable[str]) -> str:
    """The folder that holds all images, ``images/`` or empty.

    Tools are given a folder of images, and name an image by its path in there.

    Examples
    --------
    >>> common_folder(["test/000001/rgb/000003.jpg", "test/000002/rgb/000000.jpg"])
    'test/'
    >>> common_folder(["images/a.jpg", "b.jpg"])
    ''
    """
    shared: tuple[str, ...] | None = None
    for name in names:
        parts = PurePosixPath(name).parts[:-1]
        if shared is None:
            shared = parts
        count = next((place for place, pair in enumerate(zip(shared, parts)) if pair[0] != pair[1]), len(parts))
        shared = shared[:count]
    return "".join(f"{part}/" for part in shared or ())


def stems(names: Iterable[str]) -> list[str]:
    """The names of images without their common folder and without ending.

    Raises
    ------
    DatasetError
        If two images differ only in their ending: tools would take the masks of one for those of the other.

    Examples
    --------
    >>> stems(["images/a.jpg", "images/b.png"])
    ['a', 'b']
    """
    names = list(names)
    folder = common_folder(names)
    found = [str(PurePosixPath(name[len(folder) :]).with_suffix("")) for name in names]
    seen: dict[str, str] = {}
    for name, stem in zip(names, found, strict=True):
        if seen.setdefault(stem, name) != name:
            raise DatasetError(f"{seen[stem]} and {name}: differ only in their ending; rename one of the images")
    return found
