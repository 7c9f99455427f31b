"""Instances of the images: a class map and depth, or depth alone, are cut into objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data.files.working_size import sample_image
from data.sample import UNLABELLED, Sample
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth, read_surface
from tasks.methods import named_labels_stage
from tasks.runtime.image_stage import SplitStage
from tasks.runtime.instance_arrays import instance_arrays, stored_instances
from tasks.runtime.numeric import number
from tasks.runtime.parameters import Choice, RegistryParameter
from tasks.runtime.shards import ImageInputs
from tasks.runtime.stage import Stages

if TYPE_CHECKING:
    from models.instance_table import InstanceTable
    from models.instances import SplitSettings


def by_classes(
    sample: Sample, inputs: ImageInputs, seed: int, angle: float, height: float, certainty: float, smallest: float
) -> tuple[np.ndarray, InstanceTable]:
    """Instances of the class map of the method."""
    from models.instances import SplitSettings

    labels = inputs["labels"].read("label")
    known = np.where(labels == UNLABELLED, 0, labels).astype(np.int64)
    return _found(sample, inputs, known, SplitSettings(angle, height, certainty, smallest), seed)


def by_depth(
    sample: Sample, inputs: ImageInputs, seed: int, angle: float, height: float, certainty: float, smallest: float
) -> tuple[np.ndarray, InstanceTable]:
    """Instances of any class: what stands on the support plane. An image without depth has none."""
    from models.instances import SplitSettings

    return _found(sample, inputs, None, SplitSettings(angle, height, certainty, smallest), seed)


def _found(
    sample: Sample, inputs: ImageInputs, labels: np.ndarray | None, settings: SplitSettings, seed: int
) -> tuple[np.ndarray, InstanceTable]:
    from models.instances import found_instances

    depth, valid = read_surface(inputs["depth"])
    return found_instances(sample_image(sample), depth, valid, labels, settings, seed)


NO_DEPTH = "to find instances by; choose --SplitInstances-source classes, or masks from files (BaselineMasks)"
"""End of the error line if no image has depth."""

CONSTANTS = ("angle", "height", "certainty", "smallest")

SOURCES: dict[str, Choice] = {
    "classes": Choice(by_classes, CONSTANTS, inputs=("labels", "depth")),
    "depth": Choice(by_depth, CONSTANTS, inputs=("depth",)),
}
"""source -> function (sample, inputs, constants, seed) -> instances (H, W) from 1 without gaps, and their table."""


class SplitInstances(SplitStage):
    """Instances of each image, with class, score, box and area (`tasks.runtime.instance_arrays`).

    Objects are cut where surfaces meet in a concave edge, and at class borders (`models.instances`). The score says how
    well the depth shows the instance above the support plane (`models.instance_table.depth_scores`).
    """

    @property
    def uses_seed(self):
        return True

    source = RegistryParameter(
        SOURCES, "classes", "what is cut: the class map of the method, or what stands on the support plane (no class)"
    )
    angle = number(0.6, "change of slope (tangent) above which a concave edge divides two objects", above=0)
    height = number(0.008, "height above the support plane, in metres, from which a pixel is an object", at_least=0)
    certainty = number(4.0, "standard deviations of the noise of depth that an edge must have", at_least=0)
    smallest = number(0.0006, "share of the image below which an instance is left out", at_least=0, below=1)

    def requires(self):
        stages: Stages = {
            "dataset": self.upstream(IndexDataset),
            "depth": self.upstream(LoadDepth, split=self.split),
        }
        if "labels" in SOURCES[self.source].inputs:
            stages["labels"] = self.upstream(named_labels_stage(self.method), split=self.split)
        return stages

    def arrays(self, samples):
        return instance_arrays(samples)

    def work(self) -> int:
        self._without_depth()  # before anything is computed
        return super().work()

    def _without_depth(self) -> list[str]:
        """Ids of the images in which no instance can be found; raises as `images_without_depth`."""
        depth: Any = self.required["depth"]
        return depth.images_without(self.samples, NO_DEPTH) if self.source == "depth" else []

    def count(self, sample, image, num_classes):
        return np.array([not (image.read("area") >= 0).any()], np.int64)

    def findings(self):
        (empty,), count, without = self.counts(), len(self.samples), len(self._without_depth())
        found = [f"{without} of {count} images have no depth, so they have no instance"] if without else []
        if empty == count:
            return [*found, "no image has an instance: check the depth, or lower --SplitInstances-height"]
        return [*found, *([f"{empty - without} of {count} images have no instance"] if empty > without else [])]

    def compute(self, sample, inputs):
        source = SOURCES[self.source]
        instances, table = source.function(sample, inputs, seed=self.seed, **source.settings(self))
        return stored_instances(sample, instances, table, type(self).__name__)
