"""Saliency corrected by CAMs: what the classifier is sure of is added, what it does not see is left open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import luigi
import numpy as np

from data.sample import TRAIN, UNLABELLED, Sample
from data.store.sharded import ArraySpec, ShardedStore
from tasks.extract_cams import ExtractCams, read_cam
from tasks.index_dataset import IndexDataset
from tasks.load_saliency import LoadSaliency
from tasks.runtime.layout import SHARD_SIZE, create_store, padded_size
from tasks.runtime.stage import StageTask


class RefineSaliency(StageTask):
    """Saliency as 0, 1 or unlabelled, refined by eqs. 2.5 and 2.6."""

    refine = luigi.BoolParameter(
        default=True, parsing=luigi.BoolParameter.EXPLICIT_PARSING, description="false: only cut at `threshold`"
    )
    threshold = luigi.FloatParameter(default=0.5, description="saliency above which a pixel is salient")
    sure = luigi.FloatParameter(default=0.8, description="CAM above which a pixel is salient in any case (tau 1)")
    doubtful = luigi.FloatParameter(default=0.3, description="CAM below which a salient pixel is left open (tau 2)")
    shard_size = luigi.IntParameter(default=SHARD_SIZE, description="images a shard")

    def unused(self):
        return () if self.refine else ("sure", "doubtful")

    def requires(self):
        above = [IndexDataset, LoadSaliency, *([ExtractCams] if self.refine else [])]
        return [self.upstream(stage) for stage in above]

    def work(self) -> int:
        samples = self.index.split(TRAIN)
        arrays = {
            "salient": ArraySpec(
                ("y", "x"), padded_size(samples), "uint8", UNLABELLED,
                {"long_name": "0 not salient, 1 salient, 255 unlabelled"},
            )
        }  # fmt: skip
        store = create_store(self.artifact, self.index, samples, arrays, self.description(), self.shard_size)
        saliency = self.upstream(LoadSaliency).artifact.path
        cams = self.upstream(ExtractCams).artifact.path if self.refine else None
        limits = (self.threshold, self.sure, self.doubtful)
        shards = [
            (store.path, saliency, cams, shard, numbers, [samples[number] for number in numbers], *limits)
            for shard in store.missing_shards()
            for numbers in [store.images_of(shard)]
        ]
        return sum(self.progress(self.map_shards(refine_shard, shards), len(shards), "shard"))


def refine_shard(
    path: Path,
    saliency: Path,
    cams: Path | None,
    shard: int,
    numbers: Sequence[int],
    samples: Sequence[Sample],
    threshold: float,
    sure: float,
    doubtful: float,
) -> int:
    """Refine and write one shard; returns its number of images. Without `cams` saliency is cut at the threshold."""
    import torch

    from models.saliency import refine_saliency

    maps = ShardedStore(saliency)
    refined = []
    for number, sample in zip(numbers, samples, strict=True):
        height, width = sample.size
        salient = torch.from_numpy(maps.read_image("saliency", number)[:height, :width] > threshold)
        if cams is None:
            refined.append(salient.byte().numpy())
        else:
            cam, _ = read_cam(ShardedStore(cams), number, sample.size)
            refined.append(refine_saliency(salient, cam, sure, doubtful, UNLABELLED).numpy())
    ShardedStore(path).write_shard(shard, {"salient": [values.astype(np.uint8) for values in refined]})
    return len(samples)
