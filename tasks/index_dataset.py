"""Stage 1: the list of samples with tags, sizes and files. Every image is opened once, to find damaged files early."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import cast

import luigi
import numpy as np

from data.cooccurrence import Cooccurrence, told_apart
from data.demo import scenes
from data.errors import DamagedArtifactError, DatasetError, ImageError, SettingError, StoreError
from data.files.fingerprint import FileHashes, WatchedFiles
from data.files.images import read_image
from data.files.pixels import stored_size
from data.files.working_size import working_size
from data.readers import DATASETS, DatasetSpec
from data.readers.cutouts import Cutout, list_cutouts
from data.readers.label_maps import RememberedTags
from data.readers.merging import category_table
from data.readers.places import missing_line
from data.sample import EVALUATION, TRAIN, DatasetIndex, Sample, Samples
from data.store.artifact import Artifact, hash_text, write_bytes
from data.tuning import TUNING, with_tuning_split
from tasks.runtime.data_place import data_places
from tasks.runtime.devices import usable_cores
from tasks.runtime.index_findings import untagged_classes, unusual_frames, without_depth
from tasks.runtime.luigi_seam import default_value
from tasks.runtime.numeric import number, whole
from tasks.runtime.stage import COMMON, StageTask

log = logging.getLogger("depthseed")


class IndexDataset(StageTask):
    """Writes ``index.json``: all samples without their ground truth.

    The identity depends on the content of the data set (`DatasetIndex.fingerprint`), not on its folder.
    """

    version = 4
    artifact_type = Artifact

    train_folder = luigi.Parameter(
        default="",
        description="folder of the train split, empty = the usual one of the data set, none = there are no such images",
    )
    evaluation_folder = luigi.Parameter(
        default="",
        description="folder of the evaluation split, empty = the usual one of the data set, none = there are no such "
        "images",
    )
    merge = luigi.Parameter(
        default="",
        description="CSV file class,category of classes that count as one, empty = no such classes; for the data set "
        "folder",
        significant=False,
    )
    tags = luigi.Parameter(
        default="",
        description="file of the image-level tags: an export of COCO, Label Studio (.json) or CVAT (.xml), or a table "
        "(.csv); empty = labels.csv, or one folder for each class; for the data set folder",
        significant=False,
    )
    tuning = number(
        0.0,
        "share of the training sequences that become the evaluation split, in place of its own images: settings are "
        "chosen there; 0 = off",
        at_least=0,
        below=1,
    )
    size = whole(
        0,
        "pixels of the longer side at which all stages see an image that is larger, 0 = as it is; scores and exported "
        "label maps have the size of the images",
        at_least=0,
        at_most=16384,
    )

    def check(self):
        if 0 < self.size < SMALLEST_SIZE:
            raise SettingError(f"--IndexDataset-size is {self.size}; set it to 0 or at least {SMALLEST_SIZE}")

    def parameters(self):
        # Without a tuning split and a size, everything is what it was before there were any: the identity stays.
        off = {("tuning", 0), ("size", 0)}
        return {name: value for name, value in super().parameters().items() if (name, value) not in off}

    @classmethod
    def get_param_values(cls, params, args, kwargs):
        """All common parameters except `PLACE` get their defaults. So all stages share one instance: it scans once."""
        defaults = {name: default_value(param) for name, param in params if name in COMMON and name not in PLACE}
        return [(name, defaults.get(name, value)) for name, value in super().get_param_values(params, args, kwargs)]

    @property
    def spec(self) -> DatasetSpec:
        """The entry of the data set in the registry; DatasetError for an unknown name."""
        return spec_of(self.dataset)

    @property
    def root(self) -> Path:
        """Folder of the data set; DatasetError if it is nowhere or the data set is unknown."""
        return folder_of(self)

    def folders(self) -> dict[str, str]:
        """Split -> the folder, list or folds that it is read from; empty for a set whose table names the splits."""
        folders = self.spec.chosen({TRAIN: self.train_folder, EVALUATION: self.evaluation_folder})
        return {**folders, EVALUATION: TUNING} if self.tuning else folders

    @property
    def is_rendered(self) -> bool:
        """True if this stage renders the data set."""
        return bool(self.spec.renderer) and not self.data_root

    def require_training(self) -> None:
        """Raise DatasetError if the data set cannot be learnt from; one that will be rendered can."""
        if not self.is_rendered:
            self.scanned.require_training()

    @cached_property
    def scanned(self) -> DatasetIndex:
        """The index as the reader finds it on disk. No image is opened; tags from label maps are kept in a cache.

        Raises
        ------
        DatasetError
            If the folder does not exist or does not have the layout of the data set.
        """
        if not self.root.is_dir():
            advice = "--data-root must name the folder that holds the data set"
            if self.is_rendered:  # which images it will have, is known when it is rendered
                command = f"luigi --module pipeline IndexDataset --dataset {self.dataset}"
                advice = f"render it before its images get files: {command}"
            raise DatasetError(f"{self.root}: the folder does not exist; {advice}")
        splits = self.spec.chosen({TRAIN: self.train_folder, EVALUATION: self.evaluation_folder})
        files = {name: Path(value) for name in ("merge", "tags") if (value := getattr(self, name))}
        for name in files.keys() - set(self.spec.files):
            raise SettingError(f"--IndexDataset-{name} is for the data set folder; {self.dataset} does not take it")
        if files:
            return self.spec.read(self.root, splits, **files)
        if not self.spec.tags_from_masks:
            return self.spec.read(self.root, splits)
        tags_of = RememberedTags(self._cache(".tags.json"))
        found = self.spec.read(self.root, splits, tags_of)
        tags_of.save()
        return found

    @cached_property
    def indexed(self) -> DatasetIndex:
        """What the index has: all that is `scanned`, or the training images with a tuning split."""
        return with_tuning_split(self.scanned, self.tuning, self.spec.sequence) if self.tuning else self.scanned

    def _cache(self, name: str) -> Path:
        return Path(self.artifacts) / self.dataset / name

    def fingerprint(self, truth: bool = False) -> str:
        """Content hash of the data set, or only of its ground truth (`DatasetIndex.fingerprint`)."""
        return self._truth_fingerprint if truth else self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return self._hashed(truth=False)

    @cached_property
    def _truth_fingerprint(self) -> str:
        return self._hashed(truth=True)

    def _hashed(self, truth: bool) -> str:
        if self.is_rendered:
            return hash_text(repr((scenes.VERSION, scenes.SCENE_SEED, scenes.SPLITS)))
        return self._content(truth)

    def _content(self, truth: bool) -> str:
        found = self.scanned.fingerprint(self.truth_files if truth else self.files, truth)
        self._hashes.save()
        return found

    @cached_property
    def _hashes(self) -> FileHashes:
        return FileHashes(self._cache(".hashes.json"))

    @cached_property
    def files(self) -> WatchedFiles:
        """Files of the data set that stages learn from. They are watched (`StageTask.watched`)."""
        return self.new_watch()

    @cached_property
    def truth_files(self) -> WatchedFiles:
        """Files of the ground truth; watched only by the stages that may open them."""
        return self.new_watch()

    def new_watch(self) -> WatchedFiles:
        """Watched files of a stage, whose hashes are kept in the cache of this data set."""
        return WatchedFiles(self._hashes)

    def files_fingerprint(self, split: str, file_of: Callable[[Sample], Path], files: WatchedFiles) -> str:
        """Content hash of one more file per image of a split, such as the user's own depth or saliency maps.

        The files are watched in `files`.
        """
        digest = hashlib.blake2b(digest_size=16)
        for sample in self.indexed.split(split):
            digest.update(repr((sample.image_id, files(file_of(sample)))).encode())
        self._hashes.save()
        return digest.hexdigest()

    def cutouts(self) -> list[Cutout]:
        """The photographs of single objects beside the data set; raises as `list_cutouts`."""
        found = self.scanned
        class_of = {name: number for number, name in enumerate(found.class_names) if number}
        if self.merge:
            class_of |= {name: class_of[category] for name, category in category_table(Path(self.merge)).items()}
        return list_cutouts(self.root, class_of)

    def cutouts_fingerprint(self, cutouts: Iterable[Cutout], files: WatchedFiles) -> str:
        """Content hash of some of the photographs of `cutouts`, which are watched in `files`."""
        found = [(cutout.class_number, files(cutout.path)) for cutout in cutouts]
        self._hashes.save()
        return hash_text(repr(found))

    def watched(self):
        return [self.files]

    def content_identity(self):
        return {"dataset": self.fingerprint()}

    def is_current(self, known):
        """As of the base; the folder of the data set must also exist, with the files that the index names.

        A rendered data set must be as rendered.
        """
        if self.is_rendered:
            return self._is_as_rendered() and super().is_current(known)
        return self.root.is_dir() and super().is_current(known) and self._names_present_files()

    _compared = ""
    """Digest of the artifact and hash of its paths, when they were those of the data set."""

    def _names_present_files(self) -> bool:
        """True if the index has the paths that were found now: they are not in the identity, which knows contents.

        A note beside the artifacts keeps what was compared, so that a plan does not read the index of 10^6 images.
        """
        compared, note = f"{self.artifact.digest()} {self._paths_hash}", self.record_path.with_suffix(".paths")
        if self._compared == compared or (note.exists() and note.read_text(errors="replace") == compared):
            return True
        self.__dict__.pop("_written", None)  # another process may have written it anew
        try:
            written = self._written
        except DamagedArtifactError:
            return True  # whoever reads it says so, and has it computed again
        if written.samples.table.digest(*PATHS) != self._paths_hash:
            del self._written
            return False
        self._compared = compared
        with contextlib.suppress(StoreError):  # else it is found out again
            write_bytes(note, compared.encode())
        return True

    @cached_property
    def _paths_hash(self) -> str:
        return self.indexed.samples.table.digest(*PATHS)

    def _is_as_rendered(self) -> bool:
        """True if no file of the rendered data set has changed: `_render` keeps the hash of all files beside it."""
        try:
            return self._cache(RENDERED).read_text() == self._content(truth=False) + self._content(truth=True)
        except (OSError, ValueError):  # a DatasetError is a ValueError
            return False

    def _render(self) -> None:
        log.info("IndexDataset: rendering the demo set into %s", self.root)
        if self.root.exists():
            shutil.rmtree(self.root)
        self.root.parent.mkdir(parents=True, exist_ok=True)
        cast(Callable, self.spec.render)(self.root)
        for name in ("scanned", "indexed"):
            self.__dict__.pop(name, None)
        write_bytes(self._cache(RENDERED), (self._content(truth=False) + self._content(truth=True)).encode())

    def open(self) -> DatasetIndex:
        """The index as written, with the paths of the present folder of the data set."""
        return self._written

    def work(self) -> int:
        if self.is_rendered and not self._is_as_rendered():
            self._render()
        found = self.indexed
        sizes = np.zeros((len(found.samples), 2), np.int32)
        for place, size in enumerate(self.progress(_checked_sizes(found.samples, self.size), len(sizes))):
            sizes[place] = size
        self._checked = dataclasses.replace(found, samples=found.samples.replaced(size=sizes))
        text = io.BytesIO()  # a list of the lines of 10^6 images would take more than their text
        text.writelines(line.encode() for line in self._checked.lines())
        write_bytes(self.artifact.path / INDEX, text.getvalue())
        return len(sizes)

    def findings(self):
        index = self._checked
        empty = {
            TRAIN: "nothing can be trained; what needs no training can still be measured",
            EVALUATION: "there are no predictions and no scores of them; the column split of labels.csv, or masks of "
            "the training images, would give some",
        }
        return [
            *(f"there are no {split} images: {meaning}" for split, meaning in empty.items() if not index.split(split)),
            *unusual_frames(index.samples),
            *without_depth(index.samples),
            *untagged_classes(index),
            *self.spec.notes(self.root, self.scanned),
            *told_apart(Cooccurrence.of(index.split(TRAIN)), index.class_names),
        ]

    @cached_property
    def _written(self) -> DatasetIndex:
        return DatasetIndex.from_lines(self.root, io.BytesIO(self.artifact.read(INDEX)))

    def read_with_truth(self) -> DatasetIndex:
        """Same as `open`, with the ground truth that the data set lists now. Only a few stages may call it.

        They are those that compute scores or pictures, CoarsenMasks and RefineSaliency. All others must not see it.
        """
        dataset = self.open()
        return dataclasses.replace(dataset, samples=dataset.samples.with_truth_of(self.scanned.samples))


PATHS = "image", "depth", "coarse"
"""Columns of the index with paths."""
INDEX = "index.json"
"""File of the index."""

RENDERED = "data.hash"
"""File beside a rendered data set: hash of all its files."""

SMALLEST_SIZE = 32
"""Pixels of the longer side; in smaller images, nothing can be seen."""

AT_ONCE = 1024
"""Images that wait for a thread; each waiting image takes some kB."""


def spec_of(name: str) -> DatasetSpec:
    """The entry of a data set in the registry; DatasetError for an unknown name."""
    if name not in DATASETS:
        raise DatasetError(f"data set '{name}' is unknown; --dataset takes one of {', '.join(sorted(DATASETS))}")
    return DATASETS[name]


def folder_of(stage: StageTask) -> Path:
    """Folder of the data set of a stage, in any process. A rendered data set is among the artifacts.

    Raises
    ------
    DatasetError
        If it is nowhere or the data set is unknown.
    """
    spec = spec_of(stage.dataset)
    if stage.data_root:
        return Path(stage.data_root) / spec.folder
    if spec.renderer:
        return Path(stage.artifacts) / stage.dataset / "data"
    raise DatasetError(missing_line(stage.dataset, data_places()))


PLACE = {"dataset", "data_root", "artifacts"}
"""The common parameters that name the data set, its folder, and the folder of the artifacts."""


def _checked_sizes(samples: Samples, longest: int) -> Iterator[tuple[int, int]]:
    """Yield the working size of each image, for the longer side `longest`.

    Only `AT_ONCE` images wait for the threads that decode them.
    """
    with ThreadPoolExecutor(usable_cores()) as pool:
        for start in range(0, len(samples), AT_ONCE):
            for size in pool.map(_check, samples[start : start + AT_ONCE]):
                yield working_size(size, longest)


def _check(sample: Sample) -> tuple[int, int]:
    """Decode the image and compare its size with that of the depth map. Returns height and width."""
    size = read_image(sample.image).shape[:2]
    if sample.depth is not None and (depth_size := stored_size(sample.depth)) != size:
        raise ImageError(
            f"{sample.depth}: depth is {depth_size[1]}x{depth_size[0]}, image {sample.image_id} is {size[1]}x{size[0]}"
            "; register depth to the image first"
        )
    return size
