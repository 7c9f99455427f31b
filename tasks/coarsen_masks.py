"""Coarse labels for training: those of the data set, or labels made from its fine masks."""

from __future__ import annotations

import numpy as np

from data.errors import DatasetError
from data.files.labels import read_layers, read_truth
from data.sample import TRAIN, Sample
from tasks.index_dataset import IndexDataset
from tasks.runtime.image_stage import ImageStage
from tasks.runtime.layout import label_map
from tasks.runtime.numeric import number
from tasks.runtime.parameters import Choice, RegistryParameter
from tasks.runtime.quality import class_pixels, classes_without, require_labels


def as_given(sample: Sample, num_classes: int) -> np.ndarray:
    """The coarse annotation of the data set, (H, W) uint16; DatasetError if there is none."""
    if not sample.coarse:
        raise DatasetError(
            f"{sample.image_id}: has no coarse annotation; add it, or set --CoarsenMasks-source fine to make it from "
            "fine masks"
        )
    return read_layers(sample, sample.coarse, num_classes)


def from_fine(sample: Sample, num_classes: int, radius: float, tolerance: float) -> np.ndarray:
    """Ground truth with simplified outlines and eroded regions, (H, W) uint16; DatasetError if there is none."""
    from models.coarsen import erode_labels, simplify_labels

    truth = read_truth(sample, num_classes)
    if truth is None:
        raise DatasetError(
            f"{sample.image_id}: has no fine mask to make coarse labels from; set --CoarsenMasks-source given to use "
            "the coarse labels of the data set"
        )
    return erode_labels(simplify_labels(truth, tolerance), radius)


SOURCES: dict[str, Choice] = {"fine": Choice(from_fine, ("radius", "tolerance")), "given": Choice(as_given)}
"""source -> function (sample, number of foreground classes, parameters) -> coarse label map, (H, W) uint16."""


class CoarsenMasks(ImageStage):
    """Label maps of the train split in which pixels near class borders are unlabelled.

    With ``source=fine``, this stage reads the ground truth of the train split. It replaces an annotator who draws rough
    outlines. Only the method ``coarse`` learns from its result.
    """

    version = 2

    source = RegistryParameter(SOURCES, "fine", "coarse labels made from fine masks, or given by the data set")
    radius = number(8.0, "erosion of each class region, in pixels", at_least=0, at_most=1000)
    tolerance = number(0.0, "maximum error of simplified outlines, in pixels, 0 = not simplified", at_least=0)

    def requires(self):
        return {"dataset": self.upstream(IndexDataset)}

    def content_identity(self):
        if self.source == "given":
            return {}
        return {"fine masks": self.required["dataset"].fingerprint(truth=True)}

    def watched(self):
        return [*super().watched(), self.required["dataset"].truth_files]

    @property
    def samples(self):
        if self.source == "given":
            return super().samples
        return self.required["dataset"].read_with_truth().split(TRAIN)

    def arrays(self, samples):
        return {"label": label_map(samples, "coarse label: class number, 65535 unlabelled")}

    def count(self, sample, image, num_classes):
        return class_pixels(image.read("label"), num_classes)

    def findings(self):
        pixels = self.counts()
        require_labels(self, pixels, "lower --CoarsenMasks-radius, or check the label files")
        return classes_without(self, pixels, "coarse label")

    def compute(self, sample, inputs):
        source = SOURCES[self.source]
        return {"label": source.function(sample, inputs.num_classes, **source.settings(self))}
