"""Saliency: where an image shows something, whatever its class; from files, an ONNX network or depth alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import luigi
import numpy as np

from data.errors import ImageError, SettingError
from data.files.fingerprint import hash_file
from data.files.images import read_saliency
from data.sample import TRAIN, Sample
from data.store.sharded import ArraySpec, ShardedStore
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth, read_surface
from tasks.runtime.layout import SHARD_SIZE, create_store, padded_size
from tasks.runtime.stage import ScalesParameter, StageTask

SaliencyFinder = Callable[[int, Sample], np.ndarray]
"""(number, sample) -> saliency, (H, W) float32 in [0, 1]."""


class LoadSaliency(StageTask):
    """Class-agnostic saliency maps of the train split."""

    version = 2

    source = luigi.ChoiceParameter(
        default="depth", choices=("depth", "files", "onnx"), description="what stands on a plane, a folder, a network"
    )
    folder = luigi.Parameter(default="", description="files: <image id>.png, 8 bits, 255 = salient", significant=False)
    model = luigi.Parameter(default="", description="onnx: file of the network", significant=False)
    model_size = luigi.IntParameter(default=1024, description="onnx: side of the input where the file leaves it open")
    model_mean = ScalesParameter(default=(0.5, 0.5, 0.5), description="onnx: channel means of its input, in [0, 1]")
    model_std = ScalesParameter(default=(1.0, 1.0, 1.0), description="onnx: channel standard deviations of its input")
    model_normalise = luigi.BoolParameter(
        default=False, parsing=luigi.BoolParameter.EXPLICIT_PARSING, description="onnx: stretch each map to [0, 1]"
    )
    height = luigi.FloatParameter(default=0.008, description="depth: metres above the support plane")
    tolerance = luigi.FloatParameter(default=0.006, description="depth: metres within which a pixel lies on the plane")
    median_size = luigi.IntParameter(default=5, description="depth: side of the median filter in pixels, 1 = none")
    least_part = luigi.FloatParameter(default=0.2, description="depth: least part of a mask relative to its largest")
    shard_size = luigi.IntParameter(default=SHARD_SIZE, description="images a shard")

    @property
    def uses_seed(self):
        return self.source == "depth"

    def unused(self):
        of_depth = ("height", "tolerance", "median_size", "least_part")
        of_network = ("model_size", "model_mean", "model_std", "model_normalise")
        return {"depth": of_network, "files": of_depth + of_network, "onnx": of_depth}[self.source]

    def requires(self):
        return [self.upstream(IndexDataset), *([self.upstream(LoadDepth)] if self.source == "depth" else [])]

    def content_identity(self):
        if self.source == "onnx":
            if not Path(self.model).is_file():
                raise SettingError(
                    "saliency source 'onnx' needs --LoadSaliency-model, the ONNX file of a saliency or matting "
                    f"network; '{self.model}' is no file"
                )
            return {"network": hash_file(Path(self.model))}
        if self.source == "files":
            if not self.folder:
                raise SettingError("saliency source 'files' needs --LoadSaliency-folder, the folder of saliency maps")
            file_of = functools.partial(saliency_file, Path(self.folder))
            return {"saliency files": self.upstream(IndexDataset).files_fingerprint(TRAIN, file_of)}
        return {}

    def work(self) -> int:
        from tasks.runtime.executors import map_shards

        samples = self.index.split(TRAIN)
        arrays = {
            "saliency": ArraySpec(
                ("y", "x"), padded_size(samples), "float16", float("nan"), {"units": "1", "long_name": "saliency"}
            )
        }
        store = create_store(self.artifact, self.index, samples, arrays, self.description(), self.shard_size)
        finder = self._finder()
        shards = [
            (store.path, shard, numbers, [samples[number] for number in numbers], finder)
            for shard in store.missing_shards()
            for numbers in [store.images_of(shard)]
        ]
        # A network uses all cores by itself, and its session cannot be sent to other processes.
        mapped = (
            map_shards(saliency_shard, shards, workers=1)
            if self.source == "onnx"
            else self.map_shards(saliency_shard, shards)
        )
        return sum(self.progress(mapped, len(shards), "shard"))

    def _finder(self) -> SaliencyFinder:
        if self.source == "files":
            return functools.partial(from_folder, folder=Path(self.folder))
        if self.source == "onnx":
            from models.onnx_saliency import OnnxSaliency

            try:
                network = OnnxSaliency(
                    Path(self.model).read_bytes(),
                    self.model_size,
                    self.model_mean,
                    self.model_std,
                    self.model_normalise,
                )
            except (ImportError, ValueError) as error:
                raise SettingError(f"{self.model}: {error}") from error
            return functools.partial(from_network, network=network)
        names = ("height", "tolerance", "median_size", "least_part", "seed")
        settings = {name: getattr(self, name) for name in names}
        return functools.partial(from_depth, path=self.upstream(LoadDepth).artifact.path, settings=settings)


def saliency_file(folder: Path, sample: Sample) -> Path:
    """Where the folder has the map of an image."""
    return folder / f"{sample.image_id}.png"


def from_folder(number: int, sample: Sample, folder: Path) -> np.ndarray:
    """Saliency from a folder of 8-bit maps."""
    return read_saliency(saliency_file(folder, sample), sample)


def from_network(number: int, sample: Sample, network: Callable) -> np.ndarray:
    """Saliency from a network."""
    from tasks.runtime.batches import image_tensor

    return network(image_tensor(sample)).numpy()


def from_depth(number: int, sample: Sample, path: Path, settings: dict) -> np.ndarray:
    """Saliency from the artifact of LoadDepth."""
    from models.depth_saliency import depth_saliency

    depth, valid = read_surface(ShardedStore(path), number, sample.size)
    if not valid.any():
        raise ImageError(
            f"{sample.image_id}: has no depth to find salient objects by; choose --LoadSaliency-source files or onnx"
        )
    return depth_saliency(depth, valid, **settings)


def saliency_shard(
    path: Path, shard: int, numbers: Sequence[int], samples: Sequence[Sample], finder: SaliencyFinder
) -> int:
    """Find and write the saliency of one shard; returns its number of images."""
    found = [finder(number, sample).astype(np.float16) for number, sample in zip(numbers, samples, strict=True)]
    ShardedStore(path).write_shard(shard, {"saliency": found})
    return len(samples)
