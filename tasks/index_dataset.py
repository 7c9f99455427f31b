"""Stage 1: the list of samples with tags, sizes and files; every file is opened once."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import luigi

from data.demo import scenes
from data.errors import DatasetError, ImageError
from data.files.fingerprint import FileHashes
from data.files.images import read_image
from data.files.pixels import image_size
from data.readers import DATASETS, DatasetSpec
from data.readers.label_maps import RememberedTags
from data.sample import EVALUATION, TRAIN, DatasetIndex, Sample
from data.store.artifact import hash_text, write_json
from tasks.runtime.stage import StageTask

log = logging.getLogger("depthseed")


class IndexDataset(StageTask):
    """Writes ``index.json``; its identity is the content of images, depth and tags, not their place."""

    suffix = ""
    train_folder = luigi.Parameter(default="", description="folder of the train split; default: the data set's own")
    evaluation_folder = luigi.Parameter(default="", description="folder of the evaluation split; default: its own")

    def requires(self):
        return []

    @property
    def spec(self) -> DatasetSpec:
        if self.dataset not in DATASETS:
            raise DatasetError(f"data set '{self.dataset}' is unknown; --dataset takes one of {sorted(DATASETS)}")
        return DATASETS[self.dataset]

    @property
    def root(self) -> Path:
        """Folder of the data set; a rendered one lies among the artifacts."""
        if self.data_root:
            return Path(self.data_root) / self.spec.folder
        if self.spec.render:
            return Path(self.artifacts) / self.dataset / "data"
        raise DatasetError(f"data set '{self.dataset}' needs --data-root, the folder that holds it")

    @property
    def is_rendered(self) -> bool:
        return self.spec.render is not None and not self.data_root

    def scan(self) -> DatasetIndex:
        """Read the data set's own lists; no image is opened, and no label map twice."""
        if not hasattr(self, "_scanned"):
            if not self.root.is_dir():
                raise DatasetError(
                    f"{self.root}: no such folder; --data-root must name the folder that holds the data set"
                )
            splits = dict(self.spec.splits)
            if self.train_folder:
                splits[TRAIN] = self.train_folder
            if self.evaluation_folder:
                splits[EVALUATION] = self.evaluation_folder
            self._scanned = self._read(splits)
        return self._scanned

    def _read(self, splits: dict[str, str]) -> DatasetIndex:
        if not self.spec.tags_from_masks:
            return self.spec.read(self.root, splits)
        tags_of = RememberedTags(self._cache(".tags.json"))
        index = self.spec.read(self.root, splits, tags_of)
        tags_of.save()
        return index

    def _cache(self, name: str) -> Path:
        return Path(self.artifacts) / self.dataset / name

    def fingerprint(self, truth: bool = False) -> str:
        """Content hash of the data set, or of its ground truth alone."""
        if self.is_rendered:
            return hash_text(repr((scenes.VERSION, scenes.SCENE_SEED, scenes.SPLITS)))
        known = self.__dict__.setdefault("_fingerprints", {})
        if truth not in known:
            hashes = FileHashes(self._cache(".hashes.json"))
            known[truth] = self.scan().fingerprint(hashes, truth)
            hashes.save()
        return known[truth]

    def files_fingerprint(self, split: str, file_of: Callable[[Sample], Path]) -> str:
        """Content hash of one further file an image, such as a depth or saliency map of one's own."""
        hashes = FileHashes(self._cache(".hashes.json"))
        content = {sample.image_id: hashes(file_of(sample)) for sample in self.scan().split(split)}
        hashes.save()
        return hash_text(repr(content))

    def content_identity(self):
        return {"dataset": self.fingerprint()}

    def complete(self):
        return super().complete() and self.root.is_dir()

    def work(self) -> int:
        if self.is_rendered and not self.root.is_dir():
            log.info("IndexDataset: rendering the demo set into %s", self.root)
            self.root.parent.mkdir(parents=True, exist_ok=True)
            self.spec.render(self.root)
        index = self.scan()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            checked = pool.map(_check, index.samples)
            samples = tuple(self.progress(checked, len(index.samples)))
        write_json(self.artifact.path / "index.json", dataclasses.replace(index, samples=samples).to_json())
        return len(samples)

    def read(self) -> DatasetIndex:
        """The index as written, with the files where the data set lies now."""
        if not hasattr(self, "_index"):
            content = json.loads(self.artifact.read("index.json"))
            self._index = DatasetIndex.from_json(self.root, content)
        return self._index

    def read_with_truth(self) -> DatasetIndex:
        """The same with the ground-truth files as the data set lists them now: for scores and pictures alone."""
        truth = {sample.image_id: sample.truth for sample in self.scan().samples}
        index = self.read()
        samples = tuple(dataclasses.replace(sample, truth=truth[sample.image_id]) for sample in index.samples)
        return dataclasses.replace(index, samples=samples)


def _check(sample: Sample) -> Sample:
    """Decode the image, compare it with its depth map, and note its size."""
    size = read_image(sample.image).shape[:2]
    if sample.depth is not None and (depth_size := image_size(sample.depth)) != size:
        raise ImageError(
            f"{sample.depth}: depth is {depth_size[1]}x{depth_size[0]}, image {sample.image_id} is {size[1]}x{size[0]}"
            "; register depth to the image first"
        )
    return dataclasses.replace(sample, size=size)
