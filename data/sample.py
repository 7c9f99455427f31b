"""A data set as the pipeline sees it: an index of samples, in the same form for every folder layout."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.errors import DatasetError

TRAIN = "train"
EVALUATION = "evaluation"
BACKGROUND = 0
"""Class number of the background."""

UNLABELLED = 65535
"""Value of pixels without a label, in label maps and seeds. Files of 8 bits have another value (`data.files.labels`).

A label map has 16 bits per pixel, since a data set may have thousands of classes.
"""

LARGEST_CLASS = 32766
"""Largest class number. The CAMs of an image are stored with their class numbers, which have 16 bits with a sign."""

NO_NAME = re.compile(r"^$|^/|(?:^|/)\.\.(?:/|$)|[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no image id may have: a way out of its folder, control characters, and bytes that are no text."""


@dataclass(frozen=True)
class LabelLayer:
    """One file of pixel labels: a binary mask of one class, or a label map.

    Attributes
    ----------
    path : Path
    class_index : int or None
        Class number of a binary mask; None for a label map.
    encoding : str
        How a label map stores its classes, a name of `data.files.encodings.ENCODINGS`; empty: class numbers.
    member : str
        What the encoding needs in addition: the image in a file of many images, or the names of the classes.
    """

    path: Path
    class_index: int | None = None
    encoding: str = ""
    member: str = ""


@dataclass(frozen=True)
class Sample:
    """One image with its image-level tags and, if the data set has them, depth and ground truth.

    Attributes
    ----------
    image_id : str
        Unique in the data set; a path-like name such as ``onboarding_static/obj_000001_up/000000``.
    split : {"train", "evaluation"}
    image : Path
        RGB file.
    tags : tuple of int
        Image-level tags: numbers of the present classes, 1..K, sorted. The methods ``superpixel`` and ``masking``
        learn from no other labels.
    depth : Path or None
        16-bit depth file; None if the data set has no depth for this image.
    depth_unit : float
        Metres per stored unit.
    truth : tuple of LabelLayer
        Pixel-level ground truth. Only scores and pictures may open it, and CoarsenMasks with ``source=fine``.
    coarse : tuple of LabelLayer
        Coarse annotation of the data set: the supervision of the method ``coarse``.
    size : (int, int)
        Height and width in pixels; (0, 0) until IndexDataset has opened the image.
    """

    image_id: str
    split: str
    image: Path
    tags: tuple[int, ...]
    depth: Path | None = None
    depth_unit: float = 0.001
    truth: tuple[LabelLayer, ...] = ()
    coarse: tuple[LabelLayer, ...] = ()
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class DatasetIndex:
    """All samples of a data set. One of the splits may be empty: what needs it asks for it (`require_training`).

    Attributes
    ----------
    root : Path
        Folder of the data set.
    class_names : tuple of str
        Names of the classes 0..K. Class 0 is the background, or the first class of a set without background.
    samples : tuple of Sample
        Sorted by split (train first) and image id.

    Raises
    ------
    DatasetError
        If there is no sample, there are more than `LARGEST_CLASS` foreground classes, or two classes or two samples
        have the same name.
    """

    root: Path
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]

    def __post_init__(self):
        if self.num_classes > LARGEST_CLASS:
            raise DatasetError(
                f"{self.root}: has {self.num_classes} classes besides class 0, but at most {LARGEST_CLASS} are "
                "possible; merge rare classes"
            )
        if len(set(self.class_names)) < len(self.class_names):
            name = next(name for name in self.class_names if self.class_names.count(name) > 1)
            raise DatasetError(f"{self.root}: two classes are called '{name}'; rename one of them")
        if not self.samples:
            raise DatasetError(f"{self.root}: has no images; put images there or choose another --data-root")
        seen = set()
        for sample in self.samples:
            if NO_NAME.search(sample.image_id):
                raise DatasetError(
                    f"{self.root}: {sample.image_id!r} is no name for an image, since results become files of this "
                    "name; rename the image"
                )
            if sample.image_id in seen:
                raise DatasetError(f"{self.root}: two images are called {sample.image_id}; rename one of them")
            seen.add(sample.image_id)

    def require_training(self) -> None:
        """Check that the data set can be learnt from; the stages that train call this.

        Raises
        ------
        DatasetError
            If the train split is empty, or no training image has a tag.
        """
        train = self.split(TRAIN)
        if not train:
            raise DatasetError(f"{self.root}: the train split is empty; put images there or choose another --data-root")
        if not any(sample.tags for sample in train):
            raise DatasetError(f"{self.root}: no training image has a tag; image-level tags are needed for training")

    @property
    def num_classes(self) -> int:
        """Number of foreground classes K."""
        return len(self.class_names) - 1

    @property
    def has_depth(self) -> bool:
        """True if every sample has a depth file."""
        return all(sample.depth is not None for sample in self.samples)

    def split(self, name: str) -> tuple[Sample, ...]:
        """Samples of one split (`TRAIN` or `EVALUATION`), in the order that every artifact uses."""
        return tuple(sample for sample in self.samples if sample.split == name)

    def to_json(self) -> dict:
        """The index as plain data, without the ground truth. Paths below the root are relative to it.

        The stages that learn read only this. So they do not know the files of the ground truth.
        """

        def relative(path: Path | None) -> str | None:
            if path is None:
                return None
            return (path.relative_to(self.root) if path.is_relative_to(self.root) else path).as_posix()

        def as_json(layer: LabelLayer) -> list:
            return [relative(layer.path), layer.class_index, layer.encoding, layer.member]

        rows = [
            {
                **{key: getattr(sample, key) for key in ("image_id", "split", "tags", "depth_unit", "size")},
                "image": relative(sample.image),
                "depth": relative(sample.depth),
                **({"coarse": [as_json(layer) for layer in sample.coarse]} if sample.coarse else {}),
            }
            for sample in self.samples
        ]
        return {"class_names": self.class_names, "samples": rows}

    @classmethod
    def from_json(cls, root: Path, content: dict) -> DatasetIndex:
        """The index that `to_json` wrote, for a data set whose folder is now `root`."""
        samples = tuple(
            Sample(
                image_id=row["image_id"],
                split=row["split"],
                image=root / row["image"],
                tags=tuple(row["tags"]),
                depth=row["depth"] and root / row["depth"],
                depth_unit=row["depth_unit"],
                coarse=tuple(LabelLayer(root / path, *described) for path, *described in row.get("coarse", ())),
                size=tuple(row["size"]),
            )
            for row in content["samples"]
        )
        return cls(root, tuple(content["class_names"]), samples)

    def fingerprint(self, hash_file, truth: bool = False) -> str:
        """Content hash of what a stage can learn from: ids, splits, tags, class names, depth units and file contents.

        The folder of the data set is not part of the hash, so a data set may be moved.

        Parameters
        ----------
        hash_file : callable
            Path -> hex digest (`data.files.fingerprint.FileHashes`).
        truth : bool
            Hash only class names, ids and ground truth. The stages that read the ground truth depend on this hash.

        Returns
        -------
        str
            32 hex characters.
        """
        rows: list[list[object]] = []
        for sample in self.samples:
            row: list[object]
            if truth:
                row = [sample.image_id, self._contents(sample.truth, hash_file)]
            else:
                row = [
                    sample.image_id,
                    sample.split,
                    sample.tags,
                    hash_file(sample.image),
                    sample.depth and hash_file(sample.depth),
                    sample.depth_unit,
                    *self._contents(sample.coarse, hash_file),
                ]
            rows.append(row)
        text = json.dumps([self.class_names, rows])
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @staticmethod
    def _contents(layers: Sequence[LabelLayer], hash_file) -> list[list]:
        return [
            [layer.class_index, hash_file(layer.path), *([layer.encoding, layer.member] if layer.encoding else [])]
            for layer in layers
        ]


def spread(samples: Sequence[Sample], count: int) -> list[int]:
    """Positions of `count` samples, evenly spread; all positions if there are fewer samples."""
    count = min(count, len(samples))
    return [round(step * (len(samples) - 1) / max(count - 1, 1)) for step in range(count)]
