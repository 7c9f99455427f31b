"""Scores of instances against the ground truth: AP of COCO, and overlap and boundary F of unseen objects."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from data.errors import DatasetError
from data.files.fingerprint import WatchedFiles
from data.files.images import read_depth
from data.files.instance_truth import instance_file, instance_map, read_instances
from data.files.working_size import full_size, nearest
from data.sample import EVALUATION, Sample
from data.store.artifact import Artifact, write_json
from tasks.baseline_masks import BaselineMasks
from tasks.index_dataset import IndexDataset
from tasks.load_depth import images_without_depth
from tasks.match_objects import MatchObjects
from tasks.runtime.image_stage import OfSplit
from tasks.runtime.instance_arrays import read_stored
from tasks.runtime.numeric import whole
from tasks.runtime.parameters import one_of
from tasks.runtime.shards import ImageInputs
from tasks.runtime.stage import StageTask
from tasks.split_instances import SplitInstances

SCORES = "scores.json"
"""File of the scores."""

INSTANCES = "instances"
"""Name of the store that is scored, among the inputs of `CountInstances`."""

STAGES: dict[str, type] = {"split": SplitInstances, "match": MatchObjects, "baseline": BaselineMasks}
"""Name -> stage that writes instances (`tasks.runtime.instance_arrays`)."""


def instances_of(stage: StageTask, name: str, split: str) -> StageTask:
    """The stage of instances of this name. ``method``: MatchObjects for the method ``match``, else SplitInstances."""
    chosen = ("match" if stage.method == "match" else "split") if name == "method" else name
    return stage.upstream(STAGES[chosen], split=split)


def instance_numbers(samples: Iterable[Sample], files: WatchedFiles) -> str:
    """What the files of instance numbers hold, as text: pairs of image id and hash. They are watched in `files`."""
    found = ((sample.image_id, instance_file(sample)) for sample in samples)
    return repr([(image_id, files(path)) for image_id, path in found if path is not None])


class EvaluateInstances(OfSplit, StageTask):
    """Writes ``scores.json``, in percent, rounded to two digits; None for a score that is not defined.

    Pixels are counted at the size of the images, whatever the size at which the run works.

    ``ap``, ``ap50``, ``ap75`` and ``per_class`` need classes (`models.average_precision`): None if the ground truth or
    the stage that is scored has none. ``any_class`` has the same without classes. ``unseen`` has the scores of
    `models.instance_metrics`, means over the images. With ``scored=measured``, images without depth are left out, and
    in the others the instances without a measured pixel; ``left_out`` is the number of such true instances.
    """

    version = 2
    artifact_type = Artifact

    split: Any = one_of((EVALUATION, "train"), EVALUATION, "split whose images are used")
    instances = one_of(("method", *STAGES), "method", "instances that are scored: those of the method, or of a stage")
    table = whole(0, "number in instances/ files that is the table (UOIS: 1), 0 = none", at_least=0, at_most=65535)
    scored = one_of(
        ("all", "measured"),
        "all",
        "pixels that count; measured: those where the sensor has a depth, if truth has no others",
    )

    @property
    def label(self):
        return f"EvaluateInstances-{self.split}"

    def requires(self):
        return {
            "dataset": self.upstream(IndexDataset),
            INSTANCES: instances_of(self, self.instances, self.split),
        }

    @functools.cached_property
    def numbered(self):
        """The files of instance numbers."""
        return self.required["dataset"].new_watch()

    def watched(self):
        return [*super().watched(), self.required["dataset"].truth_files, self.numbered]

    def content_identity(self):
        index = self.required["dataset"]
        numbers = "[]" if index.is_rendered else instance_numbers(index.indexed.split(self.split), self.numbered)
        return {"ground truth": index.fingerprint(truth=True), "instances": numbers}

    def work(self) -> int:
        from models.average_precision import average_precision
        from tasks.runtime.counting import JobsOver, total_counts

        dataset = self.required["dataset"].read_with_truth()
        samples = dataset.split(self.split)
        self._without_depth(samples)  # before anything is computed
        place = {sample.image_id: index for index, sample in enumerate(samples)}
        counter = CountInstances(self.table, self.scored == "measured")
        totals = total_counts(
            self, [JobsOver(self.inputs[INSTANCES], INSTANCES, samples, counter, dataset.num_classes, INSTANCES)]
        )
        if INSTANCES not in totals:
            raise DatasetError(
                f"{self.dataset}: the {self.split} split has no instances to score against: BOP masks, a COCO file, or "
                "instances/NAME.png beside images/"
            )
        truth, predicted, unseen, defined, images, left_out = totals[INSTANCES]
        for items in (truth, predicted):
            for item in items:
                item["image"] = place[item["image"]]
        has_classes = self._has_classes and any(item["class"] for item in truth)
        found = average_precision(truth, predicted) if has_classes else None
        scores = {
            **_percent(found, dataset.class_names),
            "any_class": _percent(average_precision(truth, predicted, with_classes=False), None),
            "unseen": {
                name: round(100 * float(total / count), 2) if count else None
                for name, total, count in zip(_unseen_names(), unseen, defined, strict=True)
            },
            "images": images,
            "true_instances": sum(not item["ignored"] for item in truth),
            "instances": len(predicted),
            "left_out": left_out,
        }
        self._left_out = left_out
        write_json(self.artifact.path / SCORES, scores)
        return images

    @property
    def _has_classes(self) -> bool:
        """True if the stage that is scored names classes; where it names nothing, every object is missed."""
        stage: Any = self.required[INSTANCES]
        return isinstance(stage, MatchObjects) or (isinstance(stage, SplitInstances) and stage.source == "classes")

    def _without_depth(self, samples: Sequence[Sample]) -> list[str]:
        """Ids of the images that do not count since nothing in them is measured; raises as `images_without_depth`."""
        advice = "to know the measured pixels by; set --EvaluateInstances-scored all"
        return images_without_depth(samples, advice) if self.scored == "measured" else []

    def findings(self):
        samples = self.inputs["dataset"].split(self.split)
        without = len(self._without_depth(samples))
        found = [f"{without} of {len(samples)} images have no depth and do not count"] if without else []
        left_out = self._left_out
        return [*found, *([f"{left_out} true instances have no measured pixel and do not count"] if left_out else [])]

    def read(self) -> dict:
        """The scores as written.

        Raises
        ------
        DamagedArtifactError
            If the file is missing or is not what was written.
        """
        return json.loads(self.artifact.read(SCORES))


def _unseen_names() -> tuple[str, ...]:
    from models.instance_metrics import UnseenScores

    return UnseenScores._fields


def _percent(found: dict | None, class_names) -> dict[str, Any]:
    """AP in percent; with names, also by class."""
    values = {name: round(100 * found[name], 2) if found else None for name in ("ap", "ap50", "ap75")}
    if class_names is None:
        return values
    by_class = found["per_class"] if found else {}
    return {**values, "per_class": {class_names[number]: round(100 * ap, 2) for number, ap in by_class.items()}}


@dataclasses.dataclass(frozen=True)
class CountInstances:
    """What the scores need of one image; None if it has no ground truth of instances, or none of its pixels count.

    Attributes
    ----------
    table : int
        As in `data.files.instance_truth.read_instances`.
    only_measured : bool
        Pixels without depth do not count.
    """

    table: int
    only_measured: bool

    def __call__(self, sample: Sample, inputs: ImageInputs) -> tuple | None:
        """True instances, predicted instances (lists of `models.average_precision`), sums of the other scores."""
        from models.average_precision import run_lengths
        from models.instance_metrics import unseen_scores

        if self.only_measured and sample.depth is None:
            return None
        sample = dataclasses.replace(sample, size=full_size(sample))  # whatever the size at which the run works
        truth = read_instances(sample, inputs.num_classes, self.table)
        if truth is None:
            return None
        instances, table = read_stored(inputs[INSTANCES])
        instances = nearest(instances, sample.size)
        counted = read_depth(sample) > 0 if self.only_measured else np.ones(sample.size, bool)
        masks = [item.mask & counted for item in truth]
        kept = [not self.only_measured or bool(mask.any()) for mask in masks]
        left_out = sum(not item.ignored and not is_kept for item, is_kept in zip(truth, kept, strict=True))
        true = [
            {
                "image": sample.image_id, "class": item.class_number, "ignored": item.ignored,
                "mask": run_lengths(mask), "area": int(mask.sum()),
            }
            for item, mask, is_kept in zip(truth, masks, kept, strict=True)
            if is_kept
        ]  # fmt: skip
        predicted = [
            {
                "image": sample.image_id, "class": int(table.classes[place]), "score": float(table.scores[place]),
                "mask": run_lengths(mask),
            }
            for place in range(len(table.classes))
            for mask in [(instances == place + 1) & counted]
            if mask.any() or not self.only_measured
        ]  # fmt: skip
        # An ignored object is nobody's fault: its pixels do not count.
        counted = counted & ~np.any([item.mask for item in truth if item.ignored] or [np.zeros(sample.size, bool)], 0)
        scores = np.array(unseen_scores(instances, instance_map(truth, sample.size), counted))
        return true, predicted, np.nan_to_num(scores), np.isfinite(scores).astype(np.int64), 1, left_out
