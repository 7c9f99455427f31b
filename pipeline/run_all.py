"""The whole pipeline for one data set."""

from __future__ import annotations

import logging

import luigi

from data.sample import EVALUATION, TRAIN
from pipeline.write_report import REPORT, WriteReport
from tasks.evaluate_masks import EvaluateMasks
from tasks.methods import trainer
from tasks.predict_masks import PredictMasks
from tasks.presets import PROFILES
from tasks.runtime.stage import StageTask

log = logging.getLogger("depthseed")


class RunAll(StageTask):
    """Pseudo-labels, a trained segmentation model, scores and a report."""

    def requires(self):
        return self.upstream(WriteReport)

    def complete(self):
        return self.requires().complete()

    def run(self):
        self.tell()

    def output(self):
        return []

    def tell(self) -> None:
        """The last lines of a run: what came out, and where it is."""
        scores = self.upstream(EvaluateMasks).read()
        for name, score in scores.items():
            log.info("%-14s %s", name, f"mIoU {score['miou']:.1f} %" if score else "no ground truth, no score")
        if published := PROFILES[self.profile].published:
            log.info("%-14s %s", "published", published)
        log.info("pseudo-labels  %s", self.upstream(PredictMasks, split=TRAIN).artifact.path)
        log.info("predictions    %s", self.upstream(PredictMasks, split=EVALUATION).artifact.path)
        log.info("model          %s", self.upstream(trainer(self.method)).artifact.path / "model.safetensors")
        log.info("report         %s", self.upstream(WriteReport).artifact.path / REPORT)


@RunAll.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _nothing_to_do(task):
    if isinstance(task, RunAll):
        log.info("RunAll: everything is there already, nothing was run")
        task.tell()
