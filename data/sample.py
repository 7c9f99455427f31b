"""What a data set is to this project: an index of samples, whatever the folder layout it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.errors import DatasetError

TRAIN = "train"
EVALUATION = "evaluation"
BACKGROUND = 0
UNLABELLED = 255


@dataclass(frozen=True)
class LabelLayer:
    """One file of pixel labels: a binary mask of ``class_index``, or a label map when that is None.

    ``encoding`` names how a label map stores its classes (`data.files.encodings.ENCODINGS`); empty: class numbers.
    ``member`` says what it needs besides: which image of a file that holds many, or the names of the classes.
    """

    path: Path
    class_index: int | None = None
    encoding: str = ""
    member: str = ""


@dataclass(frozen=True)
class Sample:
    """One image with its image-level tags and, where there are some, depth and ground truth.

    Attributes
    ----------
    image_id : str
        Unique in the data set; a path-like name such as ``onboarding_static/obj_000001_up/000000``.
    split : {"train", "evaluation"}
    image : Path
        RGB file.
    tags : tuple of int
        Classes present (1..K, sorted): the image-level tags, all the supervision there is.
    depth : Path or None
        16-bit depth file.
    depth_unit : float
        Metres per stored unit.
    truth : tuple of LabelLayer
        Pixel-level ground truth; only scoring and pictures of it may open these.
    coarse : tuple of LabelLayer
        Coarse annotation that the data set comes with: the supervision of the method ``coarse``.
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
    """All samples of a data set.

    Attributes
    ----------
    root : Path
    class_names : tuple of str
        ``class_names[0]`` is "background".
    samples : tuple of Sample
        Sorted by split (train first) and image id.
    """

    root: Path
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]

    def __post_init__(self):
        seen = set()
        for sample in self.samples:
            if sample.image_id in seen:
                raise DatasetError(f"{self.root}: two images are called {sample.image_id}; rename one of them")
            seen.add(sample.image_id)
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
        """Samples of one split, in the order in which every artifact holds them."""
        return tuple(sample for sample in self.samples if sample.split == name)

    def to_json(self) -> dict:
        """Plain data, paths relative to the root where they are below it. The ground truth is left out.

        What learns reads this: it cannot even name a mask.
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
        """The index that `to_json` wrote, for a data set that now lies at `root`."""
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
        """Content hash of what a stage can learn from: tags, depth units and file contents.

        The place of the data set is left out, so that moving it changes nothing. With ``truth`` the
        hash covers the ground truth only: that is the business of scoring alone.

        Parameters
        ----------
        hash_file : callable
            Path -> hex digest (`data.files.fingerprint.FileHashes`).
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
    """Numbers of `count` samples, or all if there are fewer, evenly spread."""
    count = min(count, len(samples))
    return [round(step * (len(samples) - 1) / max(count - 1, 1)) for step in range(count)]
