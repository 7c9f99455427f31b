"""Rows of pictures: the results of all stages, or of all variants, for one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data.files.labels import read_truth
from data.files.working_size import sample_image
from data.sample import UNLABELLED, DatasetIndex, Sample
from data.store.sharded import ShardedStore, StoredImage
from pipeline.report.colours import colour_depth, colour_heat, colour_instances, colour_labels, colour_superpixels
from tasks.discover_superpixels import NO_SUPERPIXEL
from tasks.evaluate_masks import MATCHED
from tasks.extract_cams import read_cam
from tasks.load_depth import read_surface

Stored = Mapping[str, StoredImage]
"""Name of the input or variant -> the part of the image in its store."""

Panels = dict[str, np.ndarray]
"""Title -> picture, (H, W, 3) uint8."""


@dataclass(frozen=True)
class NamedClusters(StoredImage):
    """A map of clusters that reads as a label map, too.

    Attributes
    ----------
    classes : ndarray, (C,), uint16
        Class of each cluster, 65535 = none.
    """

    classes: np.ndarray

    def read(self, name: str, **cells: int) -> np.ndarray:
        """As of `StoredImage`; the array ``label`` is made from the clusters."""
        return self.classes[super().read("cluster")] if name == "label" else super().read(name, **cells)


def has_groups(store: ShardedStore) -> bool:
    """True if a store has groups without names, such as those of AssignClusters, in place of classes."""
    return "cluster" in store.array_names()


def named(stored: StoredImage, score: Mapping | None, class_names: Sequence[str]) -> StoredImage:
    """What reads as a label map: a map of clusters with the classes that its evaluation has matched, or as it is.

    Without ground truth, no cluster has a class.
    """
    if not has_groups(stored.store):
        return stored
    numbers: dict[str | None, int] = {name: number for number, name in enumerate(class_names)}
    found = score[MATCHED] if score else [None] * NO_SUPERPIXEL
    classes = np.array([UNLABELLED if name is None else numbers[name] for name in found], np.uint16)
    return NamedClusters(stored.store, stored.index, stored.size, classes)


def training_strip(dataset: DatasetIndex, sample: Sample, stored: Stored) -> Panels:
    """Pictures of one training image, stage by stage. Stages that have nothing to show are left out."""
    image = sample_image(sample)
    classes = dataset.num_classes + 1
    pictures = {"image": image}
    if sample.depth is not None and "depth" in stored:
        pictures["depth"] = colour_depth(*read_surface(stored["depth"]))
    if "cams" in stored:
        pictures["CAM"] = _cam(stored["cams"], image)
    if "coarse_labels" in stored:
        pictures["coarse label"] = colour_labels(stored["coarse_labels"].read("label"), classes)
    pseudo_label = stored["pseudo_labels"].read("label")
    if "superpixels" in stored:
        superpixels = stored["superpixels"].read("superpixel").astype(np.int64)
        pictures["superpixels"] = colour_superpixels(superpixels, image)
    if "seeds" in stored:
        pictures["initial seed"] = colour_labels(stored["seeds"].read("seed"), classes)
    if "saliency" in stored:
        pictures["saliency"] = colour_heat(stored["saliency"].read("saliency").astype(np.float32), image)
        pictures["refined saliency"] = colour_labels(stored["refined_saliency"].read("salient"), 2)
        erased = (pseudo_label > 0) & (pseudo_label != UNLABELLED)
        pictures["erased"] = np.where(erased[..., None], image.mean((0, 1)).astype(np.uint8), image)
    pictures |= _clusters(stored["pseudo_labels"], image)
    pictures["pseudo-label"] = colour_labels(pseudo_label, classes, image)
    return pictures | _truth(sample, classes, image)


def evaluation_strip(dataset: DatasetIndex, sample: Sample, stored: Stored) -> Panels:
    """Pictures of one evaluation image: prediction, and what else there is of it, such as instances and truth."""
    predicted = stored["predictions"]
    pictures = prediction_strip(dataset, sample, {"prediction": predicted})
    source = stored.get("instances", predicted)
    if "instance" in source.store.array_names():
        truth = {name: pictures.pop(name) for name in ("ground truth",) if name in pictures}
        pictures |= {"instances": colour_instances(source.read("instance"), pictures["image"])} | truth
    image = pictures.pop("image")
    found = {"image": image} | _clusters(predicted, image)
    if "superpixel" in predicted.store.array_names():
        superpixels = predicted.read("superpixel").astype(np.int64)
        found["learned superpixels"] = colour_superpixels(superpixels, image)
    return found | pictures


def prediction_strip(dataset: DatasetIndex, sample: Sample, stored: Stored) -> Panels:
    """Pictures of one image: image, prediction of each variant, ground truth if there is one."""
    image = sample_image(sample)
    classes = dataset.num_classes + 1
    predicted = {name: colour_labels(maps.read("label"), classes, image) for name, maps in stored.items()}
    return {"image": image, **predicted} | _truth(sample, classes, image)


def growing_strip(dataset: DatasetIndex, sample: Sample, seeds: StoredImage, grown: Sequence[np.ndarray]) -> Panels:
    """Pictures of one training image: image, initial seed, grown seed after each epoch, ground truth.

    The titles state the share of labelled pixels and, with ground truth, the share of these that is correct.

    Parameters
    ----------
    dataset : DatasetIndex
    sample : Sample
        With its ground truth.
    seeds : StoredImage
        The initial seed.
    grown : sequence of ndarray, (H, W), uint16
        The grown seed after each epoch, 65535 = unlabelled.
    """
    image, truth = sample_image(sample), read_truth(sample, dataset.num_classes)
    pictures = {"image": image}
    for epoch, labels in enumerate([seeds.read("seed"), *grown]):
        title = f"epoch {epoch}" if epoch else "initial seed"
        labelled = labels != UNLABELLED
        title += f": {100 * labelled.mean():.0f} % labelled"
        if truth is not None and (counted := labelled & (truth != UNLABELLED)).any():
            title += f", {100 * (labels == truth)[counted].mean():.1f} % correct"
        pictures[title] = colour_labels(labels, dataset.num_classes + 1)
    return pictures | _truth(sample, dataset.num_classes + 1, image)


def cam_strip(dataset: DatasetIndex, sample: Sample, stored: Stored) -> Panels:
    """Pictures of one image: image, largest CAM value of each variant, ground truth if there is one."""
    image = sample_image(sample)
    cams = {name: _cam(maps, image) for name, maps in stored.items()}
    return {"image": image, **cams} | _truth(sample, dataset.num_classes + 1, image)


def _cam(stored: StoredImage, image: np.ndarray) -> np.ndarray:
    cam = read_cam(stored)[0].numpy()
    return colour_heat(cam.max(0) if len(cam) else np.zeros(stored.size), image)


def _clusters(stored: StoredImage, image: np.ndarray) -> Panels:
    if not has_groups(stored.store):
        return {}
    return {"clusters": colour_superpixels(stored.read("cluster").astype(np.int64), image)}


def _truth(sample: Sample, classes: int, image: np.ndarray) -> Panels:
    truth = read_truth(sample, classes - 1)
    return {} if truth is None else {"ground truth": colour_labels(truth, classes, image)}
