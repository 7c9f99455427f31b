"""Stage 7: the initial seed, from CAMs and superpixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import luigi
import numpy as np

from data.sample import TRAIN, UNLABELLED, Sample
from data.store.sharded import ArraySpec, ShardedStore
from tasks.discover_superpixels import DiscoverSuperpixels
from tasks.extract_cams import ExtractCams, read_cam
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth, read_surface
from tasks.runtime.layout import SHARD_SIZE, create_store, padded_size
from tasks.runtime.stage import StageTask


class GenerateSeeds(StageTask):
    """Foreground where the CAM exceeds alpha (eq. 3.4), background where a superpixel has next to none (eq. 3.5)."""

    came_later = {"background": "superpixel"}

    alpha = luigi.FloatParameter(default=0.4, description="CAM above which a pixel is foreground")
    gamma = luigi.FloatParameter(
        default=0.02, description="mean CAM below which a superpixel is background; 0 = the one lowest alone (eq. 3.5)"
    )
    background = luigi.ChoiceParameter(
        default="superpixel", choices=("superpixel", "plane"), description="where background comes from; plane: depth"
    )
    shard_size = luigi.IntParameter(default=SHARD_SIZE, description="images a shard")

    @property
    def uses_plane(self) -> bool:
        return self.background == "plane"

    @property
    def uses_seed(self):
        return self.uses_plane

    def unused(self):
        return ("gamma",) if self.uses_plane else ()

    def requires(self):
        above = [IndexDataset, ExtractCams, DiscoverSuperpixels, *([LoadDepth] if self.uses_plane else [])]
        return [self.upstream(stage) for stage in above]

    def work(self) -> int:
        from tasks.runtime.executors import map_shards

        samples = self.index.split(TRAIN)
        arrays = {
            "seed": ArraySpec(
                ("y", "x"), padded_size(samples), "uint8", UNLABELLED,
                {"long_name": "initial seed: 0 background, 1.. class, 255 unlabelled"},
            )
        }  # fmt: skip
        store = create_store(self.artifact, self.index, samples, arrays, self.description(), self.shard_size)
        paths = [store.path, *(self.upstream(stage).artifact.path for stage in (ExtractCams, DiscoverSuperpixels))]
        depth = self.upstream(LoadDepth).artifact.path if self.uses_plane else None
        shards = [
            (*paths, depth, shard, store.images_of(shard), [samples[i] for i in store.images_of(shard)],
             self.alpha, self.gamma, self.seed)
            for shard in store.missing_shards()
        ]  # fmt: skip
        # A shard takes a fraction of a second: processes would cost more than they give.
        return sum(self.progress(map_shards(seed_shard, shards, workers=1), len(shards), "shard"))


def seed_shard(
    path: Path,
    cams: Path,
    superpixels: Path,
    depth: Path | None,
    shard: int,
    numbers: Sequence[int],
    samples: Sequence[Sample],
    alpha: float,
    gamma: float,
    seed: int,
) -> int:
    """Compute and write the seeds of one shard; returns its number of images."""
    import torch

    from models.depth_saliency import support_plane
    from models.seeds import initial_seed

    depth_store = depth and ShardedStore(depth)
    cam_store, superpixel_store, target = ShardedStore(cams), ShardedStore(superpixels), ShardedStore(path)
    seeds = []
    for number, sample in zip(numbers, samples, strict=True):
        height, width = sample.size
        regions = superpixel_store.read_image("superpixel", number)[:height, :width].astype(np.int64)
        cam, classes = read_cam(cam_store, number, sample.size)
        background = None
        if depth_store:
            plane = support_plane(*read_surface(depth_store, number, sample.size), seed=seed)
            background = torch.from_numpy(plane) if plane.any() else None
        seeds.append(initial_seed(cam, classes, torch.from_numpy(regions), alpha, gamma, background).numpy())
    target.write_shard(shard, {"seed": seeds})
    return len(samples)
