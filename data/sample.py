"""A data set as the pipeline sees it: an index of samples, in the same form for every folder layout."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from data.columns import JSON, TEXT, Columns
from data.errors import DatasetError

TRAIN, EVALUATION = "train", "evaluation"
BACKGROUND = 0
"""Class number of the background."""

UNLABELLED = 65535
"""Value of pixels without a label, in label maps and seeds, which have 16 bits per pixel, since a data set may have
thousands of classes. Files of 8 bits have another value (`data.files.labels`)."""

LARGEST_CLASS = 32766
"""Largest class number. The CAMs of an image are stored with their class numbers, which have 16 bits with a sign."""

NO_NAME = re.compile(r"^$|^/|(?:^|/)\.\.(?:/|$)|[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no image id may have: a way out of its folder, control characters, and bytes that are no text."""

REVISIONS = {"coco": (2,), "coco_polygons": (2,)}
"""Encodings that decode a file to other labels than they did at first -> what this adds to the hash of the file."""


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
        Pixel-level ground truth, for scores and pictures; ``tests/pipeline/test_ground_truth.py`` lists who opens it.
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


COLUMNS = {
    "image_id": TEXT, "split": TEXT, "image": TEXT, "tags": JSON, "depth": TEXT, "depth_unit": "float64",
    "size": "int32,2", "coarse": JSON, "truth": JSON,
}  # fmt: skip
"""The columns of a table of samples, see `Sample`. Paths are texts, relative to the root where they are below it."""


class Samples(Sequence[Sample]):
    """Samples in a fixed order, kept as columns. A `Sample` is made each time it is asked for.

    Parameters
    ----------
    root : Path
        Folder of the data set.
    table : Columns
        Has the columns `COLUMNS`.

    Examples
    --------
    >>> samples = Samples.of(Path("set"), [Sample("a", "train", Path("set/a.jpg"), (1, 3), size=(240, 320))])
    >>> samples[0].image.as_posix(), samples[0].tags, samples.sizes.tolist()
    ('set/a.jpg', (1, 3), [[240, 320]])
    """

    def __init__(self, root: Path, table: Columns):
        self.root, self.table = root, table

    @classmethod
    def of(cls, root: Path, samples: Iterable[Sample]) -> Samples:
        """Some samples as columns; a generator never has all of them in memory.

        Raises
        ------
        DatasetError
            If a name has bytes that are no text.
        """
        if isinstance(samples, Samples) and samples.root == root:
            return samples
        return cls.of_rows(root, map(_Place(root).row, samples))

    @classmethod
    def of_rows(cls, root: Path, rows: Iterable[Mapping[str, Any]]) -> Samples:
        """Samples from rows with the columns `COLUMNS`; raises as `of`."""
        try:
            return cls(root, Columns.of_rows(COLUMNS, rows))
        except UnicodeEncodeError as error:
            raise _no_name(root, error.object) from error

    @property
    def ids(self) -> list[str]:
        """Ids of the images."""
        return self.table.values["image_id"].tolist()

    @property
    def sizes(self) -> np.ndarray:
        """Height and width of each image in pixels, (N, 2) int32."""
        return self.table.values["size"]

    @property
    def tags(self) -> list[tuple[int, ...]]:
        """The tags of each image; images with equal tags share one tuple."""
        texts, places = np.unique(self.table.values["tags"], return_inverse=True)
        found = [tuple(json.loads(text or "[]")) for text in texts.tolist()]
        return [found[place] for place in places.tolist()]

    @property
    def tag_sets(self) -> list[tuple[int, ...]]:
        """The different sets of tags."""
        return sorted(set(self.tags))

    def of_split(self, split: str) -> Samples:
        """The samples of a split; nothing is copied where they follow each other."""
        places = np.flatnonzero(self.table.values["split"] == split)
        is_run = len(places) and places[-1] - places[0] + 1 == len(places)
        return self.taken(slice(int(places[0]), int(places[-1]) + 1) if is_run else places)

    def taken(self, places: np.ndarray | slice) -> Samples:
        """Some of the samples, as NumPy indexes them."""
        return Samples(self.root, self.table.taken(places))

    def ordered(self) -> Samples:
        """The samples sorted: train first, then by image id."""
        by_id = np.argsort(self.table.values["image_id"], kind="stable")
        return self.taken(by_id[np.argsort(self.table.values["split"][by_id] != TRAIN, kind="stable")])

    def replaced(self, **columns: np.ndarray) -> Samples:
        """The same samples with other columns, as those of the table are."""
        return Samples(self.root, self.table.replaced(**columns))

    def with_truth_of(self, others: Samples) -> Samples:
        """The same samples with the ground truth of `others`, which have the same ids.

        Raises
        ------
        KeyError
            If an id is missing there.
        """
        place = {image_id: place for place, image_id in enumerate(others.ids)}
        places = np.array([place[image_id] for image_id in self.ids])
        return self.replaced(truth=others.table.values["truth"][places])

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, place: int) -> Sample: ...

    @overload
    def __getitem__(self, place: slice) -> Samples: ...

    def __getitem__(self, place):
        if isinstance(place, slice):
            return self.taken(place)
        return _Place(self.root).sample(self.table.row(place))

    def __iter__(self) -> Iterator[Sample]:
        return map(_Place(self.root).sample, self.table.rows())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


class _Place:
    """Makes rows of samples, and samples of rows, for a data set in a folder."""

    def __init__(self, root: Path):
        self.root = root
        self.below = "" if str(root) == "." else os.path.join(root, "")

    def row(self, sample: Sample) -> dict[str, Any]:
        return {
            **{name: getattr(sample, name) for name in ("image_id", "split", "tags", "depth_unit", "size")},
            "image": self._relative(sample.image),
            "depth": sample.depth and self._relative(sample.depth),
            "coarse": self._rows(sample.coarse),
            "truth": self._rows(sample.truth),
        }

    def sample(self, row: Mapping[str, Any]) -> Sample:
        return Sample(
            image_id=row["image_id"],
            split=row["split"],
            image=self.root / row["image"],
            tags=tuple(row["tags"]),
            depth=self.root / row["depth"] if row["depth"] else None,
            depth_unit=row["depth_unit"],
            truth=self._layers(row["truth"]),
            coarse=self._layers(row["coarse"]),
            size=tuple(row["size"]),
        )

    def _rows(self, layers: Iterable[LabelLayer]) -> list[list]:
        return [[self._relative(layer.path), layer.class_index, layer.encoding, layer.member] for layer in layers]

    def _layers(self, rows: Iterable[Sequence]) -> tuple[LabelLayer, ...]:
        return tuple(LabelLayer(self.root / path, *described) for path, *described in rows)

    def _relative(self, path: Path) -> str:
        text = os.fspath(path)
        return text[len(self.below) :] if text.startswith(self.below) else os.path.abspath(text)


def _no_name(root: Path, image_id: str) -> DatasetError:
    return DatasetError(
        f"{root}: {image_id!r} is no name for an image, since results become files of this name; rename the image"
    )


@dataclass(frozen=True)
class DatasetIndex:
    """All samples of a data set. One of the splits may be empty: what needs it asks for it (`require_training`).

    Attributes
    ----------
    root : Path
        Folder of the data set.
    class_names : tuple of str
        Names of the classes 0..K. Class 0 is the background, or the first class of a set without background.
    samples : Samples
        Sorted by split (train first) and image id. Any iterable of `Sample` becomes one.

    Raises
    ------
    DatasetError
        If there is no sample, there are more than `LARGEST_CLASS` foreground classes, or two classes or two samples
        have the same name, or a name cannot be one.
    """

    root: Path
    class_names: tuple[str, ...]
    samples: Samples

    def __post_init__(self):
        if self.num_classes > LARGEST_CLASS:
            raise DatasetError(
                f"{self.root}: has {self.num_classes} classes besides class 0, but at most {LARGEST_CLASS} are "
                "possible; merge rare classes"
            )
        if len(set(self.class_names)) < len(self.class_names):
            name = next(name for name in self.class_names if self.class_names.count(name) > 1)
            raise DatasetError(f"{self.root}: two classes are called '{name}'; rename one of them")
        object.__setattr__(self, "samples", Samples.of(self.root, self.samples))
        if not self.samples:
            raise DatasetError(f"{self.root}: has no images; put images there or choose another --data-root")
        seen = set()
        for image_id in self.samples.ids:
            if NO_NAME.search(image_id):
                raise _no_name(self.root, image_id)
            if image_id in seen:
                raise DatasetError(f"{self.root}: two images are called {image_id}; rename one of them")
            seen.add(image_id)

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
        if not any(train.tag_sets):
            raise DatasetError(f"{self.root}: no training image has a tag; image-level tags are needed for training")

    @property
    def num_classes(self) -> int:
        """Number of foreground classes K."""
        return len(self.class_names) - 1

    @property
    def has_depth(self) -> bool:
        """True if every sample has a depth file."""
        return bool((self.samples.table.values["depth"] != "").all())

    def split(self, name: str) -> Samples:
        """Samples of one split (`TRAIN` or `EVALUATION`), in the order that every artifact uses."""
        return self.samples.of_split(name)

    def lines(self) -> Iterator[str]:
        """The index as lines of JSON text, one per sample, without the ground truth.

        The stages that learn read only this. So they do not know the files of the ground truth.
        """
        yield f'{{"class_names": {json.dumps(self.class_names)}, "samples": [\n'
        before = ""
        for row in self.samples.table.rows():
            del row["truth"]
            yield before + json.dumps(row)
            before = ",\n"
        yield "\n]}\n"

    @classmethod
    def from_lines(cls, root: Path, lines: Iterable[bytes]) -> DatasetIndex:
        """The index that `lines` wrote, for a data set whose folder is now `root`."""
        lines = iter(lines)
        first = next(lines)
        rows = (json.loads(line.rstrip(b",\n")) for line in lines if line.startswith(b"{"))
        names = json.loads(first + b"]}")["class_names"]
        return cls(root, tuple(names), Samples.of_rows(root, rows))

    def fingerprint(self, hash_file: Callable[[str], str], truth: bool = False) -> str:
        """Content hash of what a stage can learn from: ids, splits, tags, class names, depth units and file contents.

        The folder of the data set is not part of the hash, so a data set may be moved.

        Parameters
        ----------
        hash_file : callable
            Path as text -> hex digest (`data.files.fingerprint.FileHashes`).
        truth : bool
            Hash only class names, ids and ground truth. The stages that read the ground truth depend on this hash.

        Returns
        -------
        str
            32 hex characters.
        """
        digest = hashlib.blake2b(json.dumps(self.class_names).encode(), digest_size=16)
        names = ("image_id",) if truth else ("image_id", "split", "tags", "depth_unit")
        files, layers = ((), "truth") if truth else (("image", "depth"), "coarse")
        for block in self.samples.table.blocks():
            hashed = [block.values[name].tolist() for name in names]
            hashed += [[path and hash_file(self._path(path)) for path in block.values[name].tolist()] for name in files]
            hashed.append([self._contents(row[layers], hash_file) for row in block.rows([layers])])
            digest.update(json.dumps(hashed).encode())
        return digest.hexdigest()

    def _contents(self, layers: Sequence, hash_file: Callable[[str], str]) -> list[list]:
        return [[hash_file(self._path(path)), *rest, *REVISIONS.get(rest[1], ())] for path, *rest in layers]

    def _path(self, text: str) -> str:
        """The path of a row, as text: 10^5 objects of the type Path take a second."""
        return os.path.join(self.root, text)


def spread(samples: Sized, count: int) -> list[int]:
    """Positions of `count` samples, evenly spread; all positions if there are fewer samples."""
    count = min(count, len(samples))
    return [round(step * (len(samples) - 1) / max(count - 1, 1)) for step in range(count)]
