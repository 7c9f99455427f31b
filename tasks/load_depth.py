"""Stage 2: depth in metres without holes, with its validity mask and its edges."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import luigi
import numpy as np

from data.depth.cleaning import clean_depth
from data.depth.folder import depth_file, read_depth_file
from data.depth.noise import DepthNoise, degrade
from data.errors import ImageError, SettingError
from data.files.images import read_depth
from data.sample import Sample
from data.store.sharded import ArraySpec, ShardedStore
from tasks.estimate_depth import EstimateDepth
from tasks.index_dataset import IndexDataset
from tasks.runtime.image_stage import SplitTask
from tasks.runtime.layout import SHARD_SIZE, create_store, padded_size

EDGE_STRIDE = 2

DepthReader = Callable[[int, Sample], np.ndarray | None]
"""(number, sample) -> raw depth, (H, W) float32 in metres with 0 at holes; None where there is none."""


class LoadDepth(SplitTask):
    """Where the sensor has no file of an image, it gets depth NaN and no valid pixel."""

    source = luigi.ChoiceParameter(
        default="sensor", choices=("sensor", "files", "estimate"), description="the data set's own, a folder, a network"
    )
    folder = luigi.Parameter(
        default="", description="files: <image id>.png (16 bits) or .npy (metres)", significant=False
    )
    unit = luigi.FloatParameter(default=0.001, description="files: metres a count of a PNG")
    near = luigi.FloatParameter(default=0.05, description="metres; nearer measurements are holes")
    far = luigi.FloatParameter(default=20.0, description="metres; farther measurements are holes")
    median_size = luigi.IntParameter(default=3, description="side of the median filter in pixels, 1 = none")
    noise = luigi.FloatParameter(default=0.0, description="study: Gaussian noise added to depth, metres")
    dropout = luigi.FloatParameter(default=0.0, description="study: share of the pixels that fall into holes")
    bleeding = luigi.FloatParameter(default=0.0, description="study: pixels by which depth borders wander")
    shard_size = luigi.IntParameter(default=SHARD_SIZE, description="images a shard")

    def requires(self):
        estimate = [self.upstream(EstimateDepth, split=self.split)] if self.source == "estimate" else []
        return [self.upstream(IndexDataset), *estimate]

    @property
    def degradation(self) -> DepthNoise:
        return DepthNoise(self.noise, self.dropout, self.bleeding)

    @property
    def uses_seed(self):
        return bool(self.degradation)

    def content_identity(self):
        if self.source != "files":
            return {}
        if not self.folder:
            raise SettingError("depth source 'files' needs --LoadDepth-folder, the folder of depth maps")
        file_of = functools.partial(depth_file, Path(self.folder))
        return {"depth files": self.upstream(IndexDataset).files_fingerprint(self.split, file_of)}

    def work(self) -> int:
        samples = self.samples
        store = create_store(
            self.artifact, self.index, samples, depth_arrays(samples), self.description(), self.shard_size
        )
        cleaning = {"near": self.near, "far": self.far, "median_size": self.median_size}
        shards = [
            (store.path, shard, numbers, [samples[i] for i in numbers], self._reader(), self.degradation,
             self.seed, cleaning)
            for shard in store.missing_shards()
            for numbers in [store.images_of(shard)]
        ]  # fmt: skip
        return sum(self.progress(self.map_shards(load_depth_shard, shards), len(shards), "shard"))

    def _reader(self) -> DepthReader:
        if self.source == "files":
            return functools.partial(read_folder, folder=Path(self.folder), unit=self.unit)
        if self.source == "estimate":
            return functools.partial(read_estimate, path=self.upstream(EstimateDepth, split=self.split).artifact.path)
        return read_sensor


def read_sensor(number: int, sample: Sample) -> np.ndarray | None:
    """The data set's own depth; None if the image has none."""
    return None if sample.depth is None else read_depth(sample)


def read_folder(number: int, sample: Sample, folder: Path, unit: float) -> np.ndarray:
    """Depth from a folder of maps."""
    return read_depth_file(depth_file(folder, sample), sample, unit)


def read_estimate(number: int, sample: Sample, path: Path) -> np.ndarray:
    """Depth from the artifact of EstimateDepth."""
    height, width = sample.size
    return ShardedStore(path).read_image("depth", number)[:height, :width]


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


def load_depth_shard(
    path: Path,
    shard: int,
    numbers: Sequence[int],
    samples: Sequence[Sample],
    reader: DepthReader,
    noise: DepthNoise,
    seed: int,
    cleaning: dict,
) -> int:
    """Read, degrade, clean and write one shard; returns its number of images."""
    loaded = []
    for number, sample in zip(numbers, samples, strict=True):
        raw = reader(number, sample)
        if raw is not None and noise:
            raw = degrade(raw, noise, np.random.default_rng([seed, number]))
        loaded.append(prepare_depth(raw, sample, **cleaning))
    ShardedStore(path).write_shard(shard, {name: [values[name] for values in loaded] for name in loaded[0]})
    return len(samples)


def prepare_depth(
    raw: np.ndarray | None, sample: Sample, near: float, far: float, median_size: int
) -> dict[str, np.ndarray]:
    """Clean depth (m), validity and edges of one sample; NaN, none and NaN where there is no depth."""
    import torch

    from models.losses.deal import curvature_edges, edge_strength

    if raw is None:
        half = [-(-side // EDGE_STRIDE) for side in sample.size]
        return {
            "depth": np.full(sample.size, np.nan, np.float32),
            "valid": np.zeros(sample.size, bool),
            "depth_edge": np.full(half, np.nan, np.float16),
        }
    try:
        depth, valid = clean_depth(raw, near, far, median_size)
    except ValueError as error:
        raise ImageError(
            f"{sample.depth or sample.image}: no depth of {sample.image_id} lies between {near} and {far} m ({error}); "
            "check the unit of the depth files, or set --LoadDepth-near and --LoadDepth-far"
        ) from error
    tensors = (torch.from_numpy(values)[None, None] for values in (depth, valid))
    edges, known = curvature_edges(*tensors, stride=EDGE_STRIDE)
    strength = edge_strength(edges, known, floor=0.04, span=0.3, noise_factor=0.0).where(known, torch.nan)
    return {"depth": depth, "valid": valid, "depth_edge": strength[0, 0].numpy().astype(np.float16)}


def read_surface(store: ShardedStore, number: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Depth in metres and where it was measured, each (H, W), of one image of the artifact."""
    height, width = size
    depth, valid = (store.read_image(name, number)[:height, :width] for name in ("depth", "valid"))
    return depth, valid
