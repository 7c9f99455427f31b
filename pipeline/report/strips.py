"""Rows of pictures: one image through all stages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data.files.images import read_image
from data.files.labels import read_truth
from data.sample import UNLABELLED, DatasetIndex, Sample
from data.store.sharded import ShardedStore
from pipeline.report.colours import (
    colour_depth,
    colour_heat,
    colour_labels,
    colour_superpixels,
)
from tasks.extract_cams import read_cam
from tasks.load_depth import read_surface


def training_strip(
    index: DatasetIndex, sample: Sample, number: int, stores: dict[str, ShardedStore]
) -> dict[str, np.ndarray]:
    """Pictures of one training image by stage; a stage without anything to show is left out."""
    height, width = sample.size
    image = read_image(sample.image)
    classes = index.num_classes + 1

    def read(stage: str, array: str) -> np.ndarray:
        return stores[stage].read_image(array, number)[:height, :width]

    pictures = {"image": image}
    if sample.depth is not None and "LoadDepth" in stores:
        pictures["depth"] = colour_depth(*read_surface(stores["LoadDepth"], number, sample.size))
    if "ExtractCams" in stores:
        cam = read_cam(stores["ExtractCams"], number, sample.size)[0].numpy()
        pictures["CAM"] = colour_heat(cam.max(0) if len(cam) else np.zeros(sample.size), image)
    if "CoarsenMasks" in stores:
        pictures["coarse label"] = colour_labels(read("CoarsenMasks", "label"), classes)
    pseudo_label = read("PredictMasks-train", "label")
    if "DiscoverSuperpixels" in stores:
        pictures["superpixels"] = colour_superpixels(read("DiscoverSuperpixels", "superpixel").astype(np.int64), image)
    if "GenerateSeeds" in stores:
        pictures["initial seed"] = colour_labels(read("GenerateSeeds", "seed"), classes)
    if "LoadSaliency" in stores:
        pictures["saliency"] = colour_heat(read("LoadSaliency", "saliency").astype(np.float32), image)
        pictures["refined saliency"] = colour_labels(read("RefineSaliency", "salient"), 2)
        erased = (pseudo_label > 0) & (pseudo_label != UNLABELLED)
        pictures["erased"] = np.where(erased[..., None], image.mean((0, 1)).astype(np.uint8), image)
    pictures["pseudo-label"] = colour_labels(pseudo_label, classes, image)
    return pictures | _truth(sample, classes, image)


def evaluation_strip(
    index: DatasetIndex, sample: Sample, number: int, stores: dict[str, ShardedStore]
) -> dict[str, np.ndarray]:
    """Pictures of one evaluation image: image, superpixels that the network has learned, prediction, ground truth."""
    store = stores["PredictMasks-evaluation"]
    pictures = prediction_strip(index, sample, number, {"prediction": store})
    if "superpixel" not in store.array_names():
        return pictures
    (height, width), image = sample.size, pictures.pop("image")
    regions = store.read_image("superpixel", number)[:height, :width].astype(np.int64)
    return {"image": image, "learned superpixels": colour_superpixels(regions, image), **pictures}


def prediction_strip(
    index: DatasetIndex, sample: Sample, number: int, stores: dict[str, ShardedStore]
) -> dict[str, np.ndarray]:
    """Image, prediction of each variant (name -> store of label maps), ground truth."""
    height, width = sample.size
    image = read_image(sample.image)
    classes = index.num_classes + 1
    pictures = {"image": image}
    for name, store in stores.items():
        pictures[name] = colour_labels(store.read_image("label", number)[:height, :width], classes, image)
    return pictures | _truth(sample, classes, image)


def growing_strip(
    index: DatasetIndex, sample: Sample, number: int, seeds: ShardedStore, grown: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """Image, initial seed and the grown seed after each epoch; titles say what share is labelled and right."""
    height, width = sample.size
    image, truth = read_image(sample.image), read_truth(sample, index.num_classes)
    pictures = {"image": image}
    for epoch, labels in enumerate([seeds.read_image("seed", number)[:height, :width], *grown]):
        title = f"epoch {epoch}" if epoch else "initial seed"
        labelled = labels != UNLABELLED
        title += f": {100 * labelled.mean():.0f} % labelled"
        if truth is not None and (counted := labelled & (truth != UNLABELLED)).any():
            title += f", {100 * (labels == truth)[counted].mean():.1f} % right"
        pictures[title] = colour_labels(labels, index.num_classes + 1)
    return pictures | _truth(sample, index.num_classes + 1, image)


def cam_strip(
    index: DatasetIndex, sample: Sample, number: int, stores: dict[str, ShardedStore]
) -> dict[str, np.ndarray]:
    """Image, CAMs of each variant (name -> store of CAMs), ground truth."""
    image = read_image(sample.image)
    pictures = {"image": image}
    for name, store in stores.items():
        cam = read_cam(store, number, sample.size)[0].numpy()
        pictures[name] = colour_heat(cam.max(0) if len(cam) else np.zeros(sample.size), image)
    return pictures | _truth(sample, index.num_classes + 1, image)


def _truth(sample: Sample, classes: int, image: np.ndarray) -> dict[str, np.ndarray]:
    truth = read_truth(sample, classes - 1)
    return {} if truth is None else {"ground truth": colour_labels(truth, classes, image)}
