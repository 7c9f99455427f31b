"""Stage 10: scores of every intermediate result against the ground truth, if there is any."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import luigi
import numpy as np

from data.files.labels import read_truth
from data.files.working_size import at_full_size
from data.sample import EVALUATION, TRAIN, UNLABELLED, Sample
from data.store.artifact import Artifact, write_json
from tasks.coarsen_masks import CoarsenMasks
from tasks.extract_cams import ExtractCams, read_cam
from tasks.generate_seeds import GenerateSeeds
from tasks.index_dataset import IndexDataset
from tasks.methods import METHODS, labels_stage
from tasks.predict_masks import PredictMasks
from tasks.refine_saliency import RefineSaliency
from tasks.runtime.numeric import number
from tasks.runtime.parameters import only
from tasks.runtime.resizing import at_size, labels_at_size
from tasks.runtime.shards import ImageInputs
from tasks.runtime.stage import Stages, StageTask

SCORES = "scores.json"
"""File of the scores."""

MATCHED = "clusters"
"""Key of the class names of the clusters among the scores of a result."""

SALIENCY_CLASSES = ("background", "salient")
CONFUSION_CLASSES = 256
"""Largest number of classes with a confusion matrix in the file. That of a thousand classes would have 5 MB."""

MAPS = "maps"
"""Name of the store that is scored, among the inputs of `CountLabels` and `CountCams`."""


@dataclass(frozen=True)
class Result:
    """A result that can be scored.

    Attributes
    ----------
    title : str
        Name in tables and in the report.
    stage : type
        The stage that computes it.
    array : str
        Name of the array of label maps; empty for CAMs, from which label maps are made at every threshold.
    split : str
        `TRAIN` or `EVALUATION`.
    """

    title: str
    stage: type[StageTask]
    array: str = "label"
    split: str = TRAIN


RESULTS: dict[str, Result] = {
    "cam_seed": Result("CAM seed", ExtractCams, ""),
    "initial_seed": Result("initial seed", GenerateSeeds, "seed"),
    "saliency": Result("refined saliency", RefineSaliency, "salient"),
    "coarse_labels": Result("coarse labels", CoarsenMasks),
    "pseudo_labels": Result("pseudo-labels", PredictMasks),
    "predictions": Result("predictions", PredictMasks, split=EVALUATION),
}
"""name -> result that can be scored, in the order of the stages."""


def scores_cams(stage) -> bool:
    """A condition of `only`: CAMs are among the scored results."""
    return "cam_seed" in stage.scored


MATCHED_WITH_TRUTH = (
    "groups get their classes from the ground truth of the images that are scored, so their scores stand beside those "
    "of methods that know classes, not against them"
)
"""What is said of the scores of a method that finds groups without names."""


class EvaluateMasks(StageTask):
    """Writes ``scores.json``: the scores of each result in percent (`summary`); null for a result without ground truth.

    Ground truth is opened here, in EvaluateSuperpixels, and for pictures. Besides, IndexDataset reads tags in the label
    maps of sets that have no others, CoarsenMasks with ``source=fine`` makes coarse labels from it, and RefineSaliency
    with ``ground_truth=true`` measures an upper bound.

    A method that finds clusters knows no classes. The clusters of each result are matched to classes on the images that
    are scored (`models.clusters.match_clusters`), as in unsupervised segmentation (Cho et al., CVPR 2021: PiCIE). Each
    class has at most one cluster. The pixels of the others are without a label.
    """

    version = 8
    artifact_type = Artifact

    results = luigi.ChoiceListParameter(
        default=(), choices=tuple(RESULTS), description="results that are scored, empty = all results of the method"
    )
    threshold_step = only(
        number(
            0.05,
            "step between the background thresholds of the CAM seed: 0 and all its multiples below 1",
            at_least=0.001,
            at_most=1,
        ),
        when=scores_cams,
    )

    @property
    def scored(self) -> tuple[str, ...]:
        """Names of the scored results."""
        return tuple(self.results) or METHODS[self.method].results

    def parameters(self):
        return {**super().parameters(), "results": self.scored}

    def requires(self):
        stages: Stages = {"dataset": self.upstream(IndexDataset)}
        for name in self.scored:
            result = RESULTS[name]
            if result.stage is PredictMasks:  # the class maps of another method are those of another stage
                stages[name] = self.upstream(labels_stage(self.method), split=result.split)
            else:
                stages[name] = self.upstream(result.stage)
        return stages

    def content_identity(self):
        return {"ground truth": self.required["dataset"].fingerprint(truth=True)}

    @property
    def thresholds(self) -> list[float]:
        """Background thresholds of the CAM seed: 0 and all multiples of the step below 1, rounded to six digits."""
        multiples = (round(number * self.threshold_step, 6) for number in range(math.ceil(1 / self.threshold_step)))
        return [threshold for threshold in multiples if threshold < 1]

    def watched(self):
        return [*super().watched(), self.required["dataset"].truth_files]

    def work(self) -> int:
        dataset = self.required["dataset"].read_with_truth()
        matched = self._matched(dataset)
        totals = self._totals(dataset, {name: self._counter(name, matched) for name in self.scored})
        scores: dict[str, Any] = {
            name: self._score(name, totals[name], dataset) if name in totals else None for name in self.scored
        }
        for name, classes in matched.items():
            names = dataset.class_names
            scores[name][MATCHED] = [None if number == UNLABELLED else names[number] for number in classes]
        write_json(self.artifact.path / SCORES, scores)
        return sum(counts[-1] for counts in totals.values())

    def findings(self):
        return [] if METHODS[self.method].named else [MATCHED_WITH_TRUTH]

    def _totals(self, dataset, counters: Mapping[str, Callable[[Sample, ImageInputs], tuple | None]]) -> dict:
        """Sums of what each counter counts over the images of its result: name -> counts."""
        from tasks.runtime.counting import JobsOver, total_counts

        inputs, number = self.inputs, dataset.num_classes
        return total_counts(
            self,
            [
                JobsOver(inputs[name], MAPS, dataset.split(RESULTS[name].split), counter, number, name)
                for name, counter in counters.items()
            ],
        )

    def _matched(self, dataset) -> dict[str, np.ndarray]:
        """Result -> class of each cluster; empty if the method knows classes, or without ground truth."""
        if METHODS[self.method].named:
            return {}
        from models.clusters import match_clusters

        maps = {name: self.required[name] for name in self.scored if RESULTS[name].stage is PredictMasks}
        counters = {name: CountClusters(len(stage.clusters.centres)) for name, stage in maps.items()}
        counted = self._totals(dataset, counters)
        return {name: match_clusters(pixels) for name, (pixels,) in counted.items()}

    def _counter(self, name: str, matched: Mapping[str, np.ndarray]) -> Callable[[Sample, ImageInputs], tuple | None]:
        if name == "cam_seed":
            return CountCams(tuple(self.thresholds))
        if RESULTS[name].stage is PredictMasks and not METHODS[self.method].named:
            return CountLabels("cluster", classes=matched.get(name))
        return CountLabels(RESULTS[name].array, is_saliency=name == "saliency")

    def _score(self, name: str, counts: tuple, dataset) -> dict[str, Any]:
        from models.metrics import best_threshold, confusion_of

        rows, boundaries, borders, images = counts
        confusions = (confusion_of(rows, index) for index in range(len(boundaries)))  # one in memory at a time
        best = best_threshold(confusions, self.thresholds) if name == "cam_seed" else 0
        names = SALIENCY_CLASSES if name == "saliency" else dataset.class_names
        score = summary(confusion_of(rows, best), boundaries[best], borders[best], names, images)
        return {**score, "threshold": self.thresholds[best]} if name == "cam_seed" else score

    def read(self) -> dict:
        """The scores as written: name of the result -> its scores (`summary`), or None if it has no ground truth.

        Raises
        ------
        DamagedArtifactError
            If the file is missing or is not what was written.
        """
        scores = json.loads(self.artifact.read(SCORES))
        return {name: scores[name] for name in self.scored}


@dataclass(frozen=True)
class CountLabels:
    """Counts of the label map of one image (`count`); None if the image has no ground truth.

    Attributes
    ----------
    array : str
        Name of the array of label maps.
    is_saliency : bool
        Compare with "any foreground class" instead of the classes.
    classes : ndarray, (C,), uint16, optional
        The array has numbers of clusters; these are their classes.
    """

    array: str
    is_saliency: bool = False
    classes: np.ndarray | None = None

    def __call__(self, sample: Sample, inputs: ImageInputs) -> tuple | None:
        truth = read_truth(at_full_size(sample), inputs.num_classes)
        if truth is None:
            return None
        labels = labels_at_size(inputs[MAPS].read(self.array), truth.shape)
        if self.is_saliency:
            truth = np.where(truth == UNLABELLED, truth, truth > 0).astype(np.uint16)
        num_classes = len(SALIENCY_CLASSES) if self.is_saliency else inputs.num_classes + 1
        return count(truth, [labels if self.classes is None else self.classes[labels]], num_classes)


@dataclass(frozen=True)
class CountClusters:
    """Pixels of each class and cluster in one image, (K+1, C); None if the image has no ground truth."""

    clusters: int

    def __call__(self, sample: Sample, inputs: ImageInputs) -> tuple | None:
        truth = read_truth(at_full_size(sample), inputs.num_classes)
        if truth is None:
            return None
        known, clusters = truth != UNLABELLED, labels_at_size(inputs[MAPS].read("cluster"), truth.shape)
        pairs = truth[known].astype(np.int64) * self.clusters + clusters[known]
        classes = inputs.num_classes + 1
        return (np.bincount(pairs, minlength=classes * self.clusters).reshape(classes, self.clusters),)


@dataclass(frozen=True)
class CountCams:
    """Counts of the CAMs of one image (`count`), one map per threshold; None if the image has no ground truth."""

    thresholds: tuple[float, ...]

    def __call__(self, sample: Sample, inputs: ImageInputs) -> tuple | None:
        from models.metrics import cam_segmentation

        truth = read_truth(at_full_size(sample), inputs.num_classes)
        if truth is None:
            return None
        cam, classes = (values.numpy() for values in read_cam(inputs[MAPS]))
        cam = cam if cam.shape[1:] == truth.shape else at_size(cam, truth.shape)
        maps = [cam_segmentation(cam, classes, threshold) for threshold in self.thresholds]
        return count(truth, maps, inputs.num_classes + 1)


def count(truth: np.ndarray, maps: Sequence[np.ndarray], num_classes: int) -> tuple[Any, np.ndarray, np.ndarray, int]:
    """Counts of one image, which can be added up over images.

    Parameters
    ----------
    truth : ndarray, (H, W), uint16
    maps : sequence of M ndarrays, (H, W), uint16
        Label maps of the image.
    num_classes : int
        With the background.

    Returns
    -------
    confusion : csr_array, (M * num_classes, num_classes + 1)
        `models.metrics.confusion_rows`.
    boundary counts, border counts : ndarray, (M, ...)
        As of `models.metrics.boundary_counts` and `border_counts`, one per map.
    images : int
        1.
    """
    from models.metrics import border_counts, boundary_counts, confusion_rows

    return (
        confusion_rows(truth, maps, num_classes),
        np.stack([boundary_counts(truth, labels, num_classes) for labels in maps]),
        np.stack([border_counts(truth, labels) for labels in maps]),
        1,
    )


def summary(
    confusion: np.ndarray, boundaries: np.ndarray, borders: np.ndarray, class_names: Sequence[str], images: int
) -> dict:
    """Scores of one result, in percent, rounded to two digits; None for a score that is not defined.

    Returns
    -------
    dict
        ``miou`` (unlabelled pixels count as wrong), ``miou_of_labelled``, ``pixel_accuracy``, ``boundary_recall``
        (within 2 px), ``boundary_f`` (within 3 px), ``labelled`` (share of labelled pixels), ``per_class`` (IoU; None
        for a class that the ground truth does not have), ``images`` (their number) and ``confusion`` (the confusion
        matrix, in pixels; None above `CONFUSION_CLASSES`).
    """
    from models.metrics import boundary_f_score, coverage, iou_by_class, mean_iou, percent, pixel_accuracy

    boundary = boundary_f_score(boundaries)
    return {
        "miou": percent(mean_iou(confusion)),
        "miou_of_labelled": percent(mean_iou(confusion, unlabelled_is_wrong=False)),
        "pixel_accuracy": percent(pixel_accuracy(confusion)),
        "boundary_recall": percent(borders[1] / borders[0] if borders[0] else np.nan),
        "boundary_f": percent(np.nanmean(boundary) if np.isfinite(boundary).any() else np.nan),
        "labelled": percent(coverage(confusion)),
        "per_class": iou_by_class(confusion, class_names),
        "images": images,
        "confusion": confusion.tolist() if len(class_names) <= CONFUSION_CLASSES else None,
    }
