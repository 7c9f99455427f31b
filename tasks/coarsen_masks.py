"""Coarse labels to learn from: those that a data set comes with, or made from its fine masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import luigi
import numpy as np

from data.errors import DatasetError
from data.files.labels import read_layers, read_truth
from data.sample import TRAIN, UNLABELLED, Sample
from data.store.sharded import ArraySpec, ShardedStore
from tasks.index_dataset import IndexDataset
from tasks.runtime.layout import SHARD_SIZE, create_store, padded_size
from tasks.runtime.stage import StageTask


class CoarsenMasks(StageTask):
    """Label maps of the train split in which pixels near class borders are unlabelled.

    With ``source=fine`` this stage reads the ground truth of the train split: it stands in for an
    annotator who draws rough outlines, and only the method ``coarse`` learns from it.
    """

    source = luigi.ChoiceParameter(
        default="fine", choices=("fine", "given"), description="made from fine masks, or the data set's own coarse ones"
    )
    radius = luigi.FloatParameter(default=8.0, description="fine: pixels by which each class region is eroded")
    tolerance = luigi.FloatParameter(default=0.0, description="fine: pixels by which outlines are simplified, 0 = not")
    shard_size = luigi.IntParameter(default=SHARD_SIZE, description="images a shard")

    def unused(self):
        return () if self.source == "fine" else ("radius", "tolerance")

    def requires(self):
        return [self.upstream(IndexDataset)]

    def content_identity(self):
        if self.source == "given":
            return {}
        return {"fine masks": self.upstream(IndexDataset).fingerprint(truth=True)}

    def work(self) -> int:
        index = self.upstream(IndexDataset).read_with_truth() if self.source == "fine" else self.index
        samples = index.split(TRAIN)
        arrays = {
            "label": ArraySpec(
                ("y", "x"), padded_size(samples), "uint8", UNLABELLED,
                {"long_name": "coarse label: class number, 255 unlabelled"},
            )
        }  # fmt: skip
        store = create_store(self.artifact, index, samples, arrays, self.description(), self.shard_size)
        settings = (self.source, self.radius, self.tolerance)
        shards = [
            (store.path, shard, [samples[number] for number in store.images_of(shard)], index.num_classes, *settings)
            for shard in store.missing_shards()
        ]
        return sum(self.progress(self.map_shards(coarse_shard, shards), len(shards), "shard"))


def coarse_shard(
    path: Path, shard: int, samples: Sequence[Sample], num_classes: int, source: str, radius: float, tolerance: float
) -> int:
    """Make and write the coarse labels of one shard; returns its number of images."""
    make = coarse_from_fine if source == "fine" else coarse_as_given
    labels = [make(sample, num_classes, radius, tolerance) for sample in samples]
    ShardedStore(path).write_shard(shard, {"label": labels})
    return len(samples)


def coarse_as_given(sample: Sample, num_classes: int, *_) -> np.ndarray:
    """The data set's own coarse annotation."""
    if not sample.coarse:
        raise DatasetError(
            f"{sample.image_id}: has no coarse annotation; add it, or set --CoarsenMasks-source fine to make it from "
            "fine masks"
        )
    return read_layers(sample, sample.coarse, num_classes)


def coarse_from_fine(sample: Sample, num_classes: int, radius: float, tolerance: float) -> np.ndarray:
    """Simplified and eroded ground truth."""
    from models.coarsen import erode_labels, simplify_labels

    truth = read_truth(sample, num_classes)
    if truth is None:
        raise DatasetError(
            f"{sample.image_id}: has no fine mask to make coarse labels from; --CoarsenMasks-source given takes the "
            "data set's own"
        )
    return erode_labels(simplify_labels(truth, tolerance), radius)
