"""Stage 11: one HTML page with scores, pictures, curves, timings and parameters."""

from __future__ import annotations

import json

import luigi

from data.sample import EVALUATION, TRAIN, spread
from data.store.artifact import write_bytes
from pipeline.dag import stages
from tasks.evaluate_masks import EvaluateMasks
from tasks.generate_seeds import GenerateSeeds
from tasks.index_dataset import IndexDataset
from tasks.methods import REGISTRY
from tasks.predict_masks import PredictMasks
from tasks.runtime.stage import StageTask
from tasks.runtime.training_stage import TrainingTask
from tasks.train_segmenter import TrainSegmenter

REPORT = "report.html"
TITLES = {
    "cam_seed": "CAM seed",
    "initial_seed": "initial seed",
    "saliency": "refined saliency",
    "coarse_labels": "coarse labels",
    "pseudo_labels": "pseudo-labels",
    "predictions": "predictions",
}


class WriteReport(StageTask):
    """Writes ``report.html``: self-contained, to be opened anywhere."""

    suffix = ""

    images = luigi.IntParameter(default=12, description="training images shown")
    evaluation_images = luigi.IntParameter(default=9, description="evaluation images shown")

    def requires(self):
        masks = [self.upstream(PredictMasks, split=split) for split in (TRAIN, EVALUATION)]
        method = REGISTRY[self.method]
        single = (IndexDataset, *method.stages, method.trainer, EvaluateMasks)
        return [*(self.upstream(stage) for stage in single), *masks]

    def work(self) -> int:
        from pipeline.report.charts import curves_svg
        from pipeline.report.colours import palette
        from pipeline.report.page import render_page

        index = self.index
        training, evaluation = self._strips()
        scores = self.upstream(EvaluateMasks).read()
        colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in palette(len(index.class_names))]
        content = {
            "dataset": self.dataset,
            "profile": self.profile,
            "seed": self.seed,
            "has_depth": index.has_depth,
            "train_count": len(index.split(TRAIN)),
            "evaluation_count": len(index.split(EVALUATION)),
            "class_names": index.class_names,
            "legend": [*zip(index.class_names, colours), ("unlabelled", "#e8e8e8")],
            "results": [{"title": TITLES[name], "score": score} for name, score in scores.items()],
            "per_class": self._per_class(scores, index.class_names),
            "confusion": self._confusion(scores, index.class_names),
            "training": training,
            "evaluation": evaluation,
            "growing": self._growing(),
            "curves": [
                {"stage": stage.__name__, "svg": curves_svg(self._history(stage))}
                for stage in (*REGISTRY[self.method].stages, REGISTRY[self.method].trainer)
                if issubclass(stage, TrainingTask)
            ],
            "stages": [self._describe(stage) for stage in stages(self) if stage is not self],
        }
        write_bytes(self.artifact.path / REPORT, render_page(content).encode())
        return len(training) + len(evaluation)

    def _strips(self) -> tuple[list[dict], list[dict]]:
        from pipeline.report.colours import data_uri
        from pipeline.report.strips import evaluation_strip, training_strip

        index = self.upstream(IndexDataset).read_with_truth()
        stores = {stage.label: stage.artifact for stage in self.stages_above()}
        strips: dict[str, list[dict]] = {TRAIN: [], EVALUATION: []}
        plan = [(TRAIN, self.images, training_strip), (EVALUATION, self.evaluation_images, evaluation_strip)]
        jobs = [
            (split, make, sample, number)
            for split, count, make in plan
            for samples in [index.split(split)]
            for number in spread(samples, count)
            for sample in [samples[number]]
        ]
        for split, make, sample, number in self.progress(jobs, len(jobs)):
            panels = make(index, sample, number, stores)
            strips[split].append(
                {
                    "image_id": sample.image_id,
                    "tags": [index.class_names[label] for label in sample.tags],
                    "panels": [(title, data_uri(picture)) for title, picture in panels.items()],
                }
            )
        return strips[TRAIN], strips[EVALUATION]

    def _growing(self) -> list[dict]:
        """Filmstrips: the seed of some training images as it has grown by the end of every epoch."""
        if self.method != "superpixel":
            return []
        from pipeline.report.colours import data_uri
        from pipeline.report.strips import growing_strip

        index = self.upstream(IndexDataset).read_with_truth()
        seeds, segmenter = self.upstream(GenerateSeeds).artifact, self.upstream(TrainSegmenter)
        samples = index.split(TRAIN)
        return [
            {
                "image_id": samples[number].image_id,
                "panels": [(title, data_uri(picture)) for title, picture in panels.items()],
            }
            for number in segmenter.watched_numbers()
            for panels in [growing_strip(index, samples[number], number, seeds, segmenter.grown_seeds(number))]
        ]

    def _history(self, stage: type[StageTask]) -> list[dict]:
        return json.loads(self.upstream(stage).artifact.read("history.json"))

    @staticmethod
    def _per_class(scores: dict, class_names) -> list[dict]:
        scored = [score for score in scores.values() if score]
        return [
            {"name": name, "ious": [score["per_class"].get(name) for score in scored]} for name in class_names if scored
        ]

    @staticmethod
    def _confusion(scores: dict, class_names) -> dict | None:
        from pipeline.report.charts import confusion_shares

        for name in ("predictions", "pseudo_labels"):
            if scores.get(name):
                square = [row[:-1] for row in scores[name]["confusion"]]  # these label every pixel
                shares = confusion_shares(square)
                rows = [{"name": label, "shares": row} for label, row in zip(class_names, shares, strict=True)]
                return {"title": TITLES[name], "rows": rows}
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
