"""Coarse labels to learn from: those that a data set comes with, or made from its fine masks."""

from __future__ import annotations

import luigi
import numpy as np

from data.errors import DatasetError
from data.files.labels import read_layers, read_truth
from data.sample import TRAIN, Sample
from tasks.index_dataset import IndexDataset
from tasks.runtime.image_stage import ImageStage
from tasks.runtime.layout import label_map
from tasks.runtime.parameters import Choice, RegistryParameter


def as_given(sample: Sample, num_classes: int) -> np.ndarray:
    """The data set's own coarse annotation."""
    if not sample.coarse:
        raise DatasetError(
            f"{sample.image_id}: has no coarse annotation; add it, or set --CoarsenMasks-source fine to make it from "
            "fine masks"
        )
    return read_layers(sample, sample.coarse, num_classes)


def from_fine(sample: Sample, num_classes: int, radius: float, tolerance: float) -> np.ndarray:
    """Simplified and eroded ground truth."""
    from models.coarsen import erode_labels, simplify_labels

    truth = read_truth(sample, num_classes)
    if truth is None:
        raise DatasetError(
            f"{sample.image_id}: has no fine mask to make coarse labels from; --CoarsenMasks-source given takes the "
            "data set's own"
        )
    return erode_labels(simplify_labels(truth, tolerance), radius)


SOURCES: dict[str, Choice] = {"fine": Choice(from_fine, ("radius", "tolerance")), "given": Choice(as_given)}
"""source -> coarse label map of a sample, (H, W) uint8."""


class CoarsenMasks(ImageStage):
    """Label maps of the train split in which pixels near class borders are unlabelled.

    With ``source=fine`` this stage reads the ground truth of the train split: it stands for an annotator who draws
    rough outlines. Only the method ``coarse`` learns from it.
    """

    source = RegistryParameter(SOURCES, "fine", "made from fine masks, or the data set's own coarse labels")
    radius = luigi.FloatParameter(default=8.0, description="pixels by which each class region is eroded")
    tolerance = luigi.FloatParameter(default=0.0, description="pixels by which outlines are simplified, 0 = not")

    def requires(self):
        return {"dataset": self.upstream(IndexDataset)}

    def content_identity(self):
        if self.source == "given":
            return {}
        return {"fine masks": self.required["dataset"].fingerprint(truth=True)}

    @property
    def samples(self):
        if self.source == "given":
            return super().samples
        return self.required["dataset"].read_with_truth().split(TRAIN)

    def arrays(self, samples):
        return {"label": label_map(samples, "coarse label: class number, 255 unlabelled")}

    def compute(self, sample, inputs):
        source = SOURCES[self.source]
        return {"label": source.function(sample, inputs.num_classes, **source.settings(self))}
