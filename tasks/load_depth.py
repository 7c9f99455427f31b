"""Stage 2: depth in metres without holes, with its validity mask and its edges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import luigi
import numpy as np

from data.depth import clean_depth
from data.errors import ImageError
from data.images import read_depth
from data.sample import TRAIN, Sample
from data.store import ArraySpec, ShardedStore
from tasks.base import StageTask
from tasks.index_dataset import IndexDataset
from tasks.layout import SHARD_SIZE, create_store, padded_size

EDGE_STRIDE = 2


class LoadDepth(StageTask):
    """Train split. Images without a depth file get depth NaN and no valid pixel."""

    near = luigi.FloatParameter(default=0.05, description="metres; nearer measurements are holes")
    far = luigi.FloatParameter(default=20.0, description="metres; farther measurements are holes")
    median_size = luigi.IntParameter(default=3, description="side of the median filter in pixels, 1 = none")
    shard_size = luigi.IntParameter(default=SHARD_SIZE, description="images a shard")

    def requires(self):
        return self.upstream(IndexDataset)

    def work(self) -> int:
        from tasks.workers import map_shards

        samples = self.index.split(TRAIN)
        store = create_store(
            self.artifact, self.index, samples, depth_arrays(samples), self.description(), self.shard_size
        )
        cleaning = {"near": self.near, "far": self.far, "median_size": self.median_size}
        shards = [
            (store.path, shard, [samples[i] for i in store.images_of(shard)], cleaning)
            for shard in store.missing_shards()
        ]
        return sum(self.progress(map_shards(load_depth_shard, shards, self.processes), len(shards), "shard"))


def depth_arrays(samples: Sequence[Sample]) -> dict[str, ArraySpec]:
    """Layout of the artifact."""
    size, half = padded_size(samples), padded_size(samples, EDGE_STRIDE)
    return {
        "depth": ArraySpec(("y", "x"), size, "float32", float("nan"), {"units": "m", "long_name": "depth, filled"}),
        "valid": ArraySpec(("y", "x"), size, "bool", False, {"long_name": "pixel was measured"}),
        "depth_edge": ArraySpec(
            ("y_edge", "x_edge"), half, "float16", float("nan"),
            {"units": "1", "long_name": "depth edge strength (second differences of inverse depth)"},
        ),
    }  # fmt: skip


def load_depth_shard(path: Path, shard: int, samples: Sequence[Sample], cleaning: dict) -> int:
    """Read, clean and write one shard; returns its number of images."""
    loaded = [load_depth(sample, **cleaning) for sample in samples]
    ShardedStore(path).write_shard(shard, {name: [values[name] for values in loaded] for name in loaded[0]})
    return len(samples)


def load_depth(sample: Sample, near: float, far: float, median_size: int) -> dict[str, np.ndarray]:
    """Clean depth (m), validity and edges of one sample."""
    import torch

    from models.losses.deal import curvature_edge_strength

    if sample.depth is None:
        half = [-(-side // EDGE_STRIDE) for side in sample.size]
        return {
            "depth": np.full(sample.size, np.nan, np.float32),
            "valid": np.zeros(sample.size, bool),
            "depth_edge": np.full(half, np.nan, np.float16),
        }
    try:
        depth, valid = clean_depth(read_depth(sample), near, far, median_size)
    except ImageError:
        raise
    except ValueError as error:
        raise ImageError(
            f"{sample.depth}: no depth of {sample.image_id} lies between {near} and {far} m ({error}); "
            "check depth_scale, or set --LoadDepth-near and --LoadDepth-far"
        ) from error
    tensors = (torch.from_numpy(values)[None, None] for values in (depth, valid))
    edges, known = curvature_edge_strength(*tensors, stride=EDGE_STRIDE, floor=0.04, span=0.3)
    edges = edges.where(known, torch.nan)[0, 0].numpy().astype(np.float16)
    return {"depth": depth, "valid": valid, "depth_edge": edges}
