"""Sets of images with label maps beside them: the reader of one's own, and what such readers share.

::

    root/train/images/NAME.png    root/train/labels/NAME.png     class numbers 0..K, 255 = void
    root/val/images/NAME.png      root/val/labels/NAME.png

Class 0 is the set's first class, background or not. Image-level tags are the other classes of a map.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from data.errors import DatasetError
from data.files.facts import FileFacts
from data.files.labels import decode_labels
from data.files.pixels import is_member
from data.sample import BACKGROUND, TRAIN, UNLABELLED, DatasetIndex, LabelLayer, Sample

TagsOf = Callable[[LabelLayer], Sequence[int]]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif")


def read_masks(root: Path, splits: dict[str, str], tags_of: TagsOf, names: Sequence[str]) -> DatasetIndex:
    """Index a set of images and label maps of the same names.

    Parameters
    ----------
    root : Path
    splits : dict
        Our split name ("train", "evaluation") -> its folder under `root`.
    tags_of : callable
        LabelLayer -> classes of its label map that are tags.
    names : sequence of str
        Classes, number 0 first.

    Raises
    ------
    DatasetError
        If a folder or a label map is missing.
    """
    samples = []
    for split, folder in splits.items():
        for image in images_in(root / folder / "images"):
            truth = LabelLayer(
                required(root / folder / "labels" / f"{image.stem}.png", f"{folder}/images/{image.name}")
            )
            samples.append(Sample(f"{folder}/{image.stem}", split, image, (), truth=(truth,)))
    return ordered(root, names, with_tags(samples, tags_of))


def images_in(folder: Path) -> list[Path]:
    """Image files of a folder, sorted; DatasetError if there is no such folder or no image in it."""
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DatasetError(f"{folder}: has no images; --data-root must name the folder above it")
    return found


def required(path: Path, owner: str) -> Path:
    """`path`, if it exists; DatasetError if not."""
    if not path.exists():
        raise DatasetError(f"{path}: file is missing, though {owner} needs it")
    return path


def tags_of(layer: LabelLayer) -> list[int]:
    """Classes of a label map, but for class 0 and void."""
    found = np.flatnonzero(np.bincount(decode_labels(layer, (0, 0)).ravel()))
    return [int(number) for number in found if number not in (BACKGROUND, UNLABELLED)]


class RememberedTags(FileFacts):
    """`tags_of`, remembered: a set's masks are decoded once and not at each command."""

    def __call__(self, layer: LabelLayer) -> list[int]:
        file = layer.path.parent if is_member(layer.path) else layer.path
        return self.fact(file, f"{layer.path}|{layer.encoding}|{layer.member}", lambda: tags_of(layer))


def with_tags(samples: Sequence[Sample], tags_of: TagsOf) -> list[Sample]:
    """The samples with the classes of their label maps as tags."""

    def tagged(sample: Sample) -> Sample:
        found = {number for layer in sample.truth for number in tags_of(layer)}
        return dataclasses.replace(sample, tags=tuple(sorted(found)))

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding takes the time, and lets go of the interpreter
        return list(pool.map(tagged, samples))


def ordered(root: Path, names: Sequence[str], samples: Sequence[Sample]) -> DatasetIndex:
    """The index of the samples, train first, then by name."""
    return DatasetIndex(root, tuple(names), tuple(sorted(samples, key=lambda s: (s.split != TRAIN, s.image_id))))
