"""Data sets of images and label maps: the reader for your own sets, and what such readers share.

::

    root/train/images/NAME.png    root/train/labels/NAME.png     class numbers 0..K, see below
    root/val/images/NAME.png      root/val/labels/NAME.png

A label map is a PNG file of 8 bits, where 255 means unlabelled. A set with more than 254 classes besides class 0 needs
16 bits, where 65535 means unlabelled. Class 0 is the set's first class, background or not. The image-level tags are the
other classes of a map.
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
from data.files.labels import check_classes, decode_labels, unlabelled_in_files
from data.files.pixels import IMAGE_SUFFIXES, is_member
from data.readers.common import required, root_hint, sorted_index
from data.sample import BACKGROUND, UNLABELLED, DatasetIndex, LabelLayer, Sample

TagsOf = Callable[[LabelLayer], Sequence[int]]


def read_masks(
    root: Path,
    splits: dict[str, str],
    tags_of: TagsOf,
    names: Sequence[str],
    label_folder: str = "labels",
    label_suffix: str = ".png",
    encoding: str = "",
) -> DatasetIndex:
    """Index a data set of images and label maps of the same names.

    Parameters
    ----------
    root : Path
    splits : dict
        Our split name ("train", "evaluation") -> its folder under `root`.
    tags_of : callable
        LabelLayer -> classes of its label map that are tags.
    names : sequence of str
        Class names, number 0 first.
    label_folder, label_suffix : str
        The label map of ``SPLIT/images/NAME.jpg`` is ``SPLIT/<label_folder>/NAME<label_suffix>``.
    encoding : str
        Encoding of the label maps, see `data.files.encodings.ENCODINGS`; empty: class numbers.

    Raises
    ------
    DatasetError
        If a folder or a label map is missing.
    """
    samples = []
    for split, folder in splits.items():
        images = root / folder / "images"
        found = sorted(path for path in images.glob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        if not found:
            raise DatasetError(f"{images}: has no images; {root_hint(root)}")
        for image in found:
            path = root / folder / label_folder / f"{image.stem}{label_suffix}"
            truth = LabelLayer(required(path, f"{folder}/images/{image.name}"), None, encoding)
            samples.append(Sample(f"{folder}/{image.stem}", split, image, (), truth=(truth,)))
    return sorted_index(root, names, with_tags(samples, tags_of, len(names) - 1), splits)


def tags_of(layer: LabelLayer) -> list[int]:
    """Classes of a label map, without class 0 and unlabelled pixels."""
    found = np.flatnonzero(np.bincount(decode_labels(layer, (0, 0)).ravel()))
    return [int(class_number) for class_number in found if class_number not in (BACKGROUND, UNLABELLED)]


class RememberedTags(FileFacts):
    """`tags_of` with a memory: the label maps of a data set are decoded once, not at every command."""

    def __call__(self, layer: LabelLayer) -> list[int]:
        file = layer.path.parent if is_member(layer.path) else layer.path
        return self.fact(file, f"{layer.path}|{layer.encoding}|{layer.member}", lambda: tags_of(layer))


def with_tags(samples: Sequence[Sample], tags_of: TagsOf, num_classes: int) -> list[Sample]:
    """The samples with the classes of their label maps as tags.

    Raises
    ------
    ImageError
        If a label map has another class than 0..K = `num_classes`.
    """
    unlabelled = unlabelled_in_files(num_classes)

    def tagged(sample: Sample) -> Sample:
        found: set[int] = set()
        for layer in sample.truth:
            classes = [class_number for class_number in tags_of(layer) if class_number != unlabelled]
            check_classes(layer, np.array(classes), num_classes)
            found.update(classes)
        return dataclasses.replace(sample, tags=tuple(sorted(found)))

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding takes most of the time and releases Python's lock
        return list(pool.map(tagged, samples))
