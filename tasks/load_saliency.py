"""Saliency: where an image shows an object of any class. It comes from depth, from files or from an ONNX network."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import luigi
import numpy as np

from data.errors import SettingError
from data.files.fingerprint import NAMED_FILES
from data.files.images import read_saliency
from data.sample import TRAIN, Sample
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth, read_surface
from tasks.runtime.image_stage import ImageStage
from tasks.runtime.layout import image_map
from tasks.runtime.numeric import NumbersParameter, Range, number, whole
from tasks.runtime.parameters import Choice, RegistryParameter, flag
from tasks.runtime.shards import ImageInputs
from tasks.runtime.stage import Stages

if TYPE_CHECKING:
    from tasks.runtime.network_map import BatchNetwork


def from_depth(
    sample: Sample,
    inputs: ImageInputs,
    height: float,
    tolerance: float,
    median_size: int,
    least_part: float,
    seed: int,
) -> np.ndarray:
    """Saliency from depth, (H, W) float32 in [0, 1]: what stands on the support plane is salient (ours).

    The parameters are those of `LoadSaliency`. In an image without depth, the saliency is not known (NaN); without
    tags, too, it shows background alone (0).
    """
    from models.depth_saliency import depth_saliency

    depth, valid = read_surface(inputs["depth"])
    if not valid.any():
        return np.full(sample.size, np.nan if sample.tags else 0.0, np.float32)
    return depth_saliency(depth, valid, height, tolerance, median_size, least_part, seed)


def from_files(sample: Sample, inputs: ImageInputs, folder: str) -> np.ndarray:
    """Saliency from a folder of 8-bit maps, (H, W) float32 in [0, 1]."""
    return read_saliency(saliency_file(Path(folder), sample), sample)


def open_network(
    model: str, model_size: int, model_mean: tuple, model_std: tuple, model_normalise: bool
) -> BatchNetwork:
    """Saliency from an ONNX network, which computes one image after the other.

    Raises
    ------
    SettingError
        If onnxruntime is not installed, the file is not an ONNX network that stays inside its file, or its output is
        not a saliency map.
    """
    import torch

    from models.onnx_safety import LARGEST_FILE
    from models.onnx_saliency import OnnxSaliency
    from tasks.runtime.network_map import BatchNetwork
    from tasks.runtime.tensors import colours

    if (size := Path(model).stat().st_size) > LARGEST_FILE:  # before it is read into memory
        raise SettingError(f"{model}: has {size} bytes, more than {LARGEST_FILE}; use a smaller network")
    try:
        network = OnnxSaliency(Path(model).read_bytes(), model_size, model_mean, model_std, model_normalise)
    except (ImportError, ValueError) as error:
        raise SettingError(f"{model}: {error}") from error

    def saliency_of(images, samples):
        (image,), (sample,) = images, samples  # a batch on the CPU is one image
        try:
            return {"saliency": network(colours(image))[None].half()}
        except ValueError as error:
            raise SettingError(f"{model}: {error} (image {sample.image_id})") from error

    # onnxruntime has threads of its own, and copies to a GPU itself
    return BatchNetwork(torch.device("cpu"), saliency_of, lambda found, _: found["saliency"].numpy(), lanes=1)


SOURCES: dict[str, Choice] = {
    "depth": Choice(from_depth, ("height", "tolerance", "median_size", "least_part", "seed"), inputs=("depth",)),
    "files": Choice(from_files, ("folder",)),
    "onnx": Choice(open_network, ("model", "model_size", "model_mean", "model_std", "model_normalise")),
}
"""source -> function (sample, inputs, parameters) -> saliency of the image, (H, W) float32 in [0, 1].

The function of ``onnx`` gets only the parameters and returns the network.
"""


NO_DEPTH = "to find salient objects by; choose --LoadSaliency-source files or onnx"
"""End of the error line if no image has depth."""


class LoadSaliency(ImageStage):
    """Class-agnostic saliency maps of the train split, float16 in [0, 1]; NaN where it is not known."""

    version = 3

    source = RegistryParameter(
        SOURCES, "depth", "source of saliency: objects on a plane in depth, a folder of maps, or an ONNX network"
    )
    folder = luigi.Parameter(
        default="", description="maps named <image id>.png, 8 bits, 255 = salient", significant=False
    )
    model = luigi.Parameter(default="", description="ONNX file of the network", significant=False)
    model_size = whole(
        1024, "side of the network's input in pixels, if the file does not fix it", at_least=1, at_most=16384
    )
    model_mean = NumbersParameter(
        (0.5, 0.5, 0.5),
        "channel means (RGB, colours in [0, 1]) that the network expects",
        Range(at_least=0, at_most=1),
        count=3,
    )
    model_std = NumbersParameter(
        (1.0, 1.0, 1.0), "channel standard deviations (RGB) that the network expects", Range(above=0), count=3
    )
    model_normalise = flag(False, "stretch each map to [0, 1]")
    height = number(0.008, "height above the support plane, in metres, from which a pixel is salient", at_least=0)
    tolerance = number(0.006, "maximum distance between the support plane and a pixel on it, in metres", above=0)
    median_size = whole(5, "side of the median filter in pixels, 1 = no filter", at_least=1, at_most=99)
    least_part = number(
        0.2, "minimum size of a connected part of a mask, relative to the largest part", at_least=0, at_most=1
    )

    @property
    def uses_seed(self):
        return self.source == "depth"

    @property
    def in_workers(self):
        return self.source != "onnx"  # onnxruntime uses all cores

    def requires(self):
        stages: Stages = {"dataset": self.upstream(IndexDataset)}
        if "depth" in SOURCES[self.source].inputs:
            stages["depth"] = self.upstream(LoadDepth)
        return stages

    @functools.cached_property
    def maps(self):
        """The files of the folder of maps."""
        return self.required["dataset"].new_watch()

    def watched(self):
        return [*super().watched(), self.maps]

    def content_identity(self):
        if self.source == "onnx":
            if not os.path.isfile(self.model):
                raise SettingError(
                    "saliency source 'onnx' needs --LoadSaliency-model, the ONNX file of a saliency or matting "
                    f"network; '{self.model}' is not a file"
                )
            return {"network": NAMED_FILES(Path(self.model))}
        if self.source == "files":
            if not self.folder:
                raise SettingError("saliency source 'files' needs --LoadSaliency-folder, the folder of saliency maps")
            file_of = functools.partial(saliency_file, Path(self.folder))
            return {"saliency files": self.required["dataset"].files_fingerprint(TRAIN, file_of, self.maps)}
        return {}

    def work(self) -> int:
        self._without_depth()  # before anything is computed
        return super().work()

    def _without_depth(self) -> list[str]:
        """Ids of the images in which nothing can be found; raises as `images_without_depth`."""
        if "depth" not in SOURCES[self.source].inputs:
            return []
        depth: Any = self.required["depth"]
        return depth.images_without(self.samples, NO_DEPTH)

    def findings(self):
        without = len(self._without_depth())
        found = f"{without} of {len(self.samples)} images have no depth, so what is salient is not known there"
        return [found] if without else []

    def arrays(self, samples):
        return {"saliency": image_map(samples, "float16", float("nan"), "saliency", "1")}

    def network_inputs(self):
        return {} if self.source == "onnx" else None

    def network(self):
        return open_network(**SOURCES["onnx"].settings(self))

    def compute(self, sample, inputs):
        saliency = inputs.inferred
        if saliency is None:
            source = SOURCES[self.source]
            saliency = source.function(sample, inputs, **source.settings(self))
        return {"saliency": saliency.astype(np.float16)}


def saliency_file(folder: Path, sample: Sample) -> Path:
    """The file with the saliency map of an image."""
    return folder / f"{sample.image_id}.png"
