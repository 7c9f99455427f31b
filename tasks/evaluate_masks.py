"""Stage 10: scores of every intermediate result against the ground truth, where there is some."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import luigi
import numpy as np

from data.files.labels import read_truth
from data.sample import EVALUATION, TRAIN, UNLABELLED, Sample
from data.store.artifact import write_json
from data.store.sharded import ShardedStore
from tasks.coarsen_masks import CoarsenMasks
from tasks.extract_cams import ExtractCams, read_cam
from tasks.generate_seeds import GenerateSeeds
from tasks.index_dataset import IndexDataset
from tasks.methods import REGISTRY
from tasks.predict_masks import PredictMasks
from tasks.refine_saliency import RefineSaliency
from tasks.runtime.stage import StageTask

SCORES = "scores.json"
RESULTS = ("cam_seed", "initial_seed", "saliency", "coarse_labels", "pseudo_labels", "predictions")
SALIENCY_CLASSES = ("background", "salient")


class EvaluateMasks(StageTask):
    """Writes ``scores.json``. The only stage that opens ground truth, together with the report's pictures."""

    version = 4
    suffix = ""

    results = luigi.ChoiceListParameter(
        default=(), choices=RESULTS, description="what is scored; empty: all that the method brings about"
    )
    threshold_step = luigi.FloatParameter(
        default=0.05, description="step of the sweep of the CAM's background threshold"
    )

    @property
    def scored(self) -> tuple[str, ...]:
        """Names of what is scored."""
        return tuple(self.results) or REGISTRY[self.method].results

    def parameters(self):
        return {**super().parameters(), "results": self.scored}

    def requires(self):
        stages: dict[str, Callable[[], StageTask]] = {
            "cam_seed": lambda: self.upstream(ExtractCams),
            "initial_seed": lambda: self.upstream(GenerateSeeds),
            "saliency": lambda: self.upstream(RefineSaliency),
            "coarse_labels": lambda: self.upstream(CoarsenMasks),
            "pseudo_labels": lambda: self.upstream(PredictMasks, split=TRAIN),
            "predictions": lambda: self.upstream(PredictMasks, split=EVALUATION),
        }
        return [self.upstream(IndexDataset), *(stages[result]() for result in self.scored)]

    def content_identity(self):
        return {"ground truth": self.upstream(IndexDataset).fingerprint(truth=True)}

    def work(self) -> int:
        from models.metrics import best_threshold

        index = self.upstream(IndexDataset).read_with_truth()
        steps = max(1, round(1 / self.threshold_step))
        thresholds = [round(number * self.threshold_step, 6) for number in range(steps)]
        paths = {result: task.artifact.path for result, task in zip(self.scored, self.stages_above()[1:], strict=True)}
        jobs = []
        for result, path in paths.items():
            samples = index.split(EVALUATION if result == "predictions" else TRAIN)
            store = ShardedStore(path)
            for shard in range(store.num_shards()):
                numbers = store.images_of(shard)
                here = [samples[number] for number in numbers]
                jobs.append((result, path, numbers, here, index.num_classes, thresholds))
        found: dict[str, list] = {}
        for result, *counts in self.progress(self.map_shards(count_shard, jobs), len(jobs), "shard"):
            found[result] = [old + new for old, new in zip(found.get(result, [0] * 4), counts, strict=True)]
        scores: dict[str, dict | None] = {}
        for result in self.scored:
            confusions, boundaries, borders, images = found[result]
            if not images:
                scores[result] = None
                continue
            best = best_threshold(confusions, thresholds) if result == "cam_seed" else 0
            names = SALIENCY_CLASSES if result == "saliency" else index.class_names
            scores[result] = summary(confusions[best], boundaries[best], borders[best], names, images)
            if result == "cam_seed":
                scores[result]["threshold"] = thresholds[best]
        write_json(self.artifact.path / SCORES, scores)
        return sum(images for *_, images in found.values())

    def read(self) -> dict:
        """The scores as written, in the order in which the results arise; None where there is no ground truth."""
        scores = json.loads(self.artifact.read(SCORES))
        return {name: scores[name] for name in self.scored}


def count_shard(
    result: str,
    path: Path,
    numbers: Sequence[int],
    samples: Sequence[Sample],
    num_classes: int,
    thresholds: Sequence[float],
) -> tuple[str, np.ndarray, np.ndarray, np.ndarray, int]:
    """Confusion matrices, boundary and border counts of one shard of one result, and its number of images with truth.

    All have a leading axis: the thresholds for CAMs, else 1. Saliency knows no classes but salient or not.
    """
    from models.metrics import border_counts, boundary_counts, cam_segmentation, confusion_matrix

    store = ShardedStore(path)
    maps: Callable[[int, Sample], list[np.ndarray]]
    if result == "cam_seed":

        def maps(number, sample):
            cam, classes = (values.numpy() for values in read_cam(store, number, sample.size))
            return [cam_segmentation(cam, classes, threshold) for threshold in thresholds]
    else:
        array = {"initial_seed": "seed", "saliency": "salient"}.get(result, "label")

        def maps(number, sample):
            height, width = sample.size
            return [store.read_image(array, number)[:height, :width]]

    maps_per_image = len(thresholds) if result == "cam_seed" else 1
    classes = len(SALIENCY_CLASSES) if result == "saliency" else num_classes + 1
    confusions = np.zeros((maps_per_image, classes, classes + 1), np.int64)
    boundaries = np.zeros((maps_per_image, classes, 4), np.int64)
    borders = np.zeros((maps_per_image, 2), np.int64)
    count = 0
    for number, sample in zip(numbers, samples, strict=True):
        truth = read_truth(sample, num_classes)
        if truth is None:
            continue
        if result == "saliency":
            truth = np.where(truth == UNLABELLED, truth, truth > 0).astype(np.uint8)
        for place, labels in enumerate(maps(number, sample)):
            confusions[place] += confusion_matrix(truth, labels, classes)
            boundaries[place] += boundary_counts(truth, labels, classes)
            borders[place] += border_counts(truth, labels)
        count += 1
    return result, confusions, boundaries, borders, count


def summary(
    confusion: np.ndarray, boundaries: np.ndarray, borders: np.ndarray, class_names: Sequence[str], images: int
) -> dict:
    """Scores in percent, coverage, and the confusion matrix they come from."""
    from models.metrics import boundary_f_score, class_iou, coverage, mean_iou, pixel_accuracy

    boundary = boundary_f_score(boundaries)

    def percent(value: float) -> float | None:
        return round(100 * float(value), 2) if np.isfinite(value) else None

    return {
        "miou": percent(mean_iou(confusion)),
        "miou_of_labelled": percent(mean_iou(confusion, unlabelled_is_wrong=False)),
        "pixel_accuracy": percent(pixel_accuracy(confusion)),
        "boundary_recall": percent(borders[1] / borders[0] if borders[0] else np.nan),
        "boundary_f": percent(np.nanmean(boundary) if np.isfinite(boundary).any() else np.nan),
        "labelled": percent(coverage(confusion)),
        "per_class": {name: percent(value) for name, value in zip(class_names, class_iou(confusion), strict=True)},
        "images": images,
        "confusion": confusion.tolist(),
    }
