"""Stage 2: depth in metres with filled holes, and a mask of the measured pixels."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import luigi
import numpy as np

from data.depth import SENSORS
from data.depth.cleaning import clean_depth
from data.depth.folder import depth_file, read_depth_file
from data.depth.noise import DepthNoise, degrade
from data.depth.sensors import SensorModel, sense
from data.errors import ImageError, SettingError
from data.files.images import read_depth
from data.files.working_size import sample_image
from data.sample import Sample
from data.store.sharded import StoredImage
from tasks.estimate_depth import EstimateDepth
from tasks.index_dataset import IndexDataset
from tasks.runtime.image_stage import SplitStage
from tasks.runtime.layout import image_map
from tasks.runtime.numeric import number, number_or_name, require_order, whole
from tasks.runtime.parameters import Choice, RegistryParameter, only
from tasks.runtime.shards import ImageInputs
from tasks.runtime.stage import Stages


def from_sensor(sample: Sample, inputs: ImageInputs) -> np.ndarray | None:
    """The depth of the data set, (H, W) float32 in metres; None if the image has none."""
    return None if sample.depth is None else read_depth(sample)


def from_files(sample: Sample, inputs: ImageInputs, folder: str, unit: float) -> np.ndarray:
    """Depth from a folder of maps, (H, W) float32 in metres; `unit` is metres per count of a PNG."""
    return read_depth_file(depth_file(Path(folder), sample), sample, unit)


def from_estimate(sample: Sample, inputs: ImageInputs) -> np.ndarray:
    """Depth from the stage EstimateDepth, (H, W) float32 in metres."""
    return inputs["estimate"].read("depth")


SOURCES: dict[str, Choice] = {
    "sensor": Choice(from_sensor),
    "files": Choice(from_files, ("folder", "unit")),
    "estimate": Choice(from_estimate, inputs=("estimate",)),
}
"""source -> function (sample, inputs, parameters) -> raw depth of the image, (H, W) float32 in metres, 0 at holes.

None if the image has no depth.
"""


LEAST_MEASURED = 0.2
"""Share of the pixels of a split. If fewer are measured, a warning asks whether the unit is right."""


class LoadDepth(SplitStage):
    """Depth of each image (float32, metres, holes filled) and the measured pixels (bool).

    If the data set has no depth file for an image, its depth is NaN everywhere and no pixel counts as measured.
    """

    version = 2

    source = RegistryParameter(SOURCES, "sensor", "source of depth: the data set, a folder of maps, or a network")
    folder = luigi.Parameter(
        default="", description="maps named <image id>.png (16 bits) or .npy (metres)", significant=False
    )
    unit = number(0.001, "metres per count of a PNG", above=0)
    near = number(0.05, "minimum depth in metres; nearer measurements become holes", above=0)
    far = number(20.0, "maximum depth in metres; farther measurements become holes", above=0)
    median_size = whole(3, "side of the median filter in pixels, 1 = no filter", at_least=1, at_most=99)
    noise = number_or_name(
        0.0,
        "for studies: standard deviation of Gaussian noise on depth, in metres; or depth as this camera measures it",
        SENSORS,
        at_least=0,
    )
    sensor_scale = only(
        number(1.0, "the camera sees a scene that is so many times larger and farther away", at_least=0.1, at_most=100),
        noise=tuple(SENSORS),
    )
    dropout = number(0.0, "for studies: share of the pixels that become holes", at_least=0, below=1)
    bleeding = number(0.0, "for studies: standard deviation of the shift of depth borders, in pixels", at_least=0)

    def check(self):
        require_order(self, "near", "far", is_strict=True)

    def requires(self):
        stages: Stages = {"dataset": self.upstream(IndexDataset)}
        if "estimate" in SOURCES[self.source].inputs:
            stages["estimate"] = self.upstream(EstimateDepth, split=self.split)
        return stages

    @property
    def sensor(self) -> SensorModel | None:
        """The model that `noise` names; None if it is a number."""
        return SENSORS.get(str(self.noise))

    @property
    def degradation(self) -> DepthNoise:
        """The noise of the parameters `noise`, if it is a number, `dropout` and `bleeding`; false if all are 0."""
        return DepthNoise(0.0 if self.sensor else self.noise, self.dropout, self.bleeding)

    @property
    def uses_seed(self):
        return bool(self.sensor or self.degradation)

    @functools.cached_property
    def maps(self):
        """The files of the folder of maps."""
        return self.required["dataset"].new_watch()

    def watched(self):
        return [*super().watched(), self.maps]

    def content_identity(self):
        if self.source != "files":
            return {}
        if not self.folder:
            raise SettingError("depth source 'files' needs --LoadDepth-folder, the folder of depth maps")
        file_of = functools.partial(depth_file, Path(self.folder))
        return {"depth files": self.required["dataset"].files_fingerprint(self.split, file_of, self.maps)}

    def images_without(self, samples: Sequence[Sample], advice: str) -> list[str]:
        """Same as the function `images_without_depth`; the sources besides ``sensor`` have depth for every image."""
        return images_without_depth(samples, advice) if self.source == "sensor" else []

    def arrays(self, samples):
        return {
            "depth": image_map(samples, "float32", float("nan"), "depth, holes filled", "m"),
            "valid": image_map(samples, "bool", False, "pixel was measured"),
        }

    def count(self, sample, image, num_classes):
        depth, valid = read_surface(image)
        is_flat = bool(valid.any() and depth[valid].min() == depth[valid].max())
        return np.array([valid.size, valid.sum(), is_flat, valid.any()])

    def findings(self):
        pixels, measured, flat, with_depth = self.counts()
        found = []
        if with_depth and measured < LEAST_MEASURED * pixels:
            found.append(
                f"only {measured / pixels:.1%} of the pixels have a depth between {self.near:g} and {self.far:g} m; "
                "check the unit of the depth files, or set --LoadDepth-near and --LoadDepth-far"
            )
        if flat:
            found.append(f"{flat} of {with_depth} depth maps have one value everywhere")
        return found

    def compute(self, sample, inputs):
        source = SOURCES[self.source]
        raw = source.function(sample, inputs, **source.settings(self))
        if raw is not None and self.uses_seed:
            raw = self._degraded(raw, sample, np.random.default_rng([self.seed, inputs.index]))
        if raw is None:
            return {"depth": np.full(sample.size, np.nan, np.float32), "valid": np.zeros(sample.size, bool)}
        try:
            depth, valid = clean_depth(raw, self.near, self.far, self.median_size)
        except ValueError as error:
            raise ImageError(
                f"{sample.depth or sample.image}: no depth of {sample.image_id} lies between {self.near} and "
                f"{self.far} m ({error}); check the unit of the depth files, or set --LoadDepth-near and "
                "--LoadDepth-far"
            ) from error
        return {"depth": depth, "valid": valid}

    def _degraded(self, depth: np.ndarray, sample: Sample, rng: np.random.Generator) -> np.ndarray:
        """The depth with the noise of the parameters."""
        if self.sensor:
            depth = sense(depth, sample_image(sample), self.sensor, self.sensor_scale, rng)
        return degrade(depth, self.degradation, rng)


def images_without_depth(samples: Sequence[Sample], advice: str) -> list[str]:
    """Ids of the images that have no depth file.

    Raises
    ------
    ImageError
        If no image has one. The line names the first image and ends with `advice`.
    """
    found = [sample.image_id for sample in samples if sample.depth is None]
    if found and len(found) == len(samples):
        raise ImageError(f"{found[0]}: has no depth {advice}")
    return found


def read_surface(stored: StoredImage) -> tuple[np.ndarray, np.ndarray]:
    """Depth of one image of the artifact, (H, W) float32 in metres, and its measured pixels, (H, W) bool."""
    return stored.read("depth"), stored.read("valid")
