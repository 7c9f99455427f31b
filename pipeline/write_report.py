"""Stage 11: one HTML page with scores, pictures, curves, timings and parameters."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from data.sample import EVALUATION, TRAIN, DatasetIndex, spread
from data.store.artifact import Artifact, write_bytes
from tasks.evaluate_masks import RESULTS, EvaluateMasks
from tasks.index_dataset import IndexDataset
from tasks.methods import METHODS, labels_stage
from tasks.predict_tags import PredictTags, tag_scores
from tasks.runtime.dag import stages
from tasks.runtime.numeric import whole
from tasks.runtime.parameters import flag
from tasks.runtime.quality import warnings_of
from tasks.runtime.shards import ImageInputs, open_stores
from tasks.runtime.stage import Stages, StageTask
from tasks.runtime.trained_model import HISTORY
from tasks.runtime.training_stage import TrainingStage
from tasks.split_instances import SplitInstances
from tasks.train_segmenter import TrainSegmenter

REPORT = "report.html"
"""File of the page."""

LISTED_CLASSES = 100
"""Largest number of classes in the legend and the tables of the page."""


def listed_classes(dataset: DatasetIndex) -> list[int]:
    """Class numbers in the legend and the tables: all, or class 0 and those with the most images."""
    uses = Counter(tag for sample in dataset.samples for tag in sample.tags)
    others = sorted(range(1, len(dataset.class_names)), key=lambda number: -uses[number])
    return [0, *sorted(others[: LISTED_CLASSES - 1])]


class WriteReport(StageTask):
    """Writes ``report.html``, one page that needs no other file."""

    version = 3
    artifact_type = Artifact

    images = whole(12, "number of training images shown", at_least=0)
    evaluation_images = whole(9, "number of evaluation images shown", at_least=0)

    instances = flag(False, "also cut the predictions into instances (SplitInstances), and show them")

    def parameters(self):
        return {**super().parameters(), "profile": self.profile}  # the page shows its name

    def requires(self):
        method = METHODS[self.method]
        learns_tags = "classifier" in method.stages
        labels = self.upstream(labels_stage(self.method), split=TRAIN)
        proposals = labels.required.get("proposals")  # those that were named, whichever stage has found them
        predictions: Any = self.upstream(labels_stage(self.method), split=EVALUATION)
        trains = bool(method.trainer) and not predictions.model  # a model from elsewhere needs no training
        return {
            "dataset": self.upstream(IndexDataset),
            **({"tags": self.upstream(PredictTags, split=EVALUATION)} if learns_tags else {}),
            **{name: self.upstream(stage) for name, stage in method.stage_classes().items()},
            **({"proposals": proposals} if proposals else {}),
            **({"model": self.upstream(method.trainer_stage())} if trains else {}),
            "scores": self.upstream(EvaluateMasks),
            "pseudo_labels": labels,
            "predictions": predictions,
            **self._instances(),
        }

    def _instances(self) -> Stages:
        return (
            {"instances": self.upstream(SplitInstances, split=EVALUATION, source="classes")} if self.instances else {}
        )

    def watched(self):
        return [*super().watched(), self.required["dataset"].truth_files]

    def work(self) -> int:
        from models.palette import palette
        from pipeline.report.charts import curves_svg
        from pipeline.report.page import render_page

        dataset = self.inputs["dataset"]
        scores = self.required["scores"].read()
        training, evaluation = self._strips(scores)
        colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in palette(len(dataset.class_names))]
        listed = listed_classes(dataset)
        content = {
            "dataset": self.dataset,
            "profile": self.profile,
            "seed": self.seed,
            "has_depth": dataset.has_depth,
            "train_count": len(dataset.split(TRAIN)),
            "evaluation_count": len(dataset.split(EVALUATION)),
            "class_names": dataset.class_names,
            "unlisted_classes": len(dataset.class_names) - len(listed),
            "legend": [*((dataset.class_names[n], colours[n]) for n in listed), ("unlabelled", "#e8e8e8")],
            "tags": self.tag_scores(),
            "results": [{"title": RESULTS[name].title, "score": score} for name, score in scores.items()],
            "per_class": self._per_class(scores, [dataset.class_names[number] for number in listed]),
            "confusion": self._confusion(scores, dataset.class_names, listed),
            "training": training,
            "evaluation": evaluation,
            "growing": self._growing(),
            "curves": [
                {"stage": stage.label, "svg": curves_svg(json.loads(stage.artifact.read(HISTORY)))}
                for stage in self.required.values()
                if isinstance(stage, TrainingStage)
            ],
            "warnings": [
                {"label": stage.label, "lines": found}
                for stage in stages(self)
                if stage is not self and (found := warnings_of(stage.artifact))
            ],
            "stages": [self._describe(stage) for stage in stages(self) if stage is not self],
        }
        write_bytes(self.artifact.path / REPORT, render_page(content).encode())
        return len(training) + len(evaluation)

    def tag_scores(self) -> dict[str, float] | None:
        """Scores of the classifier on the tags of the evaluation images, in percent; None without such tags."""
        if "tags" not in self.required:
            return None
        dataset = self.inputs["dataset"]
        return tag_scores(self.inputs["tags"], dataset.split(EVALUATION), dataset.num_classes)

    def _strips(self, scores: dict) -> tuple[list[dict], list[dict]]:
        from pipeline.report.colours import data_uri
        from pipeline.report.strips import evaluation_strip, named, training_strip

        dataset, stores = self.required["dataset"].read_with_truth(), open_stores(self.inputs)
        strips: dict[str, list[dict]] = {TRAIN: [], EVALUATION: []}
        plan = [(TRAIN, self.images, training_strip), (EVALUATION, self.evaluation_images, evaluation_strip)]
        jobs = [
            (split, make, sample, index)
            for split, count, make in plan
            for samples in [dataset.split(split)]
            for index in spread(samples, count)
            for sample in [samples[index]]
        ]
        for split, make, sample, index in self.progress(jobs, len(jobs)):
            stored = dict(ImageInputs(stores, index, sample.size, dataset.num_classes))
            for name in ("pseudo_labels", "predictions"):
                stored[name] = named(stored[name], scores.get(name), dataset.class_names)
            panels = make(dataset, sample, stored)
            strips[split].append(
                {
                    "image_id": sample.image_id,
                    "tags": [dataset.class_names[tag] for tag in sample.tags],
                    "panels": [(title, data_uri(picture)) for title, picture in panels.items()],
                }
            )
        return strips[TRAIN], strips[EVALUATION]

    def _growing(self) -> list[dict]:
        """The grown seeds of some training images after every epoch; empty for a method without growing seeds."""
        segmenter = self.required.get("model")
        if not isinstance(segmenter, TrainSegmenter):
            return []
        from pipeline.report.colours import data_uri
        from pipeline.report.strips import growing_strip

        dataset, seeds = self.required["dataset"].read_with_truth(), self.inputs["seeds"]
        samples = dataset.split(TRAIN)
        strips = []
        for index in segmenter.watched_images():
            sample = samples[index]
            panels = growing_strip(dataset, sample, seeds.image(index, sample.size), segmenter.grown_seeds(index))
            pictures = [(title, data_uri(picture)) for title, picture in panels.items()]
            strips.append({"image_id": sample.image_id, "panels": pictures})
        return strips

    @staticmethod
    def _per_class(scores: dict, class_names) -> list[dict]:
        scored = [score for score in scores.values() if score]
        return [
            {"name": name, "ious": [score["per_class"].get(name) for score in scored]} for name in class_names if scored
        ]

    @staticmethod
    def _confusion(scores: dict, class_names, listed: list[int]) -> dict | None:
        from pipeline.report.charts import confusion_shares

        for name in ("predictions", "pseudo_labels"):
            if scores.get(name) and scores[name]["confusion"]:
                shares = confusion_shares(scores[name]["confusion"])  # the last column is what has no label
                rows = [{"name": class_names[n], "shares": [shares[n][other] for other in listed]} for n in listed]
                return {"title": RESULTS[name].title, "rows": rows}
        return None

    @staticmethod
    def _describe(stage: StageTask) -> dict:
        files, size = stage.artifact.size()
        return {
            "label": stage.label,
            "identity": stage.identity,
            "record": stage.record(),
            "files": files,
            "megabytes": size / 1e6,
            "parameters": stage.parameters(),
        }
