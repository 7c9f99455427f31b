"""The whole pipeline for one data set."""

from __future__ import annotations

import logging

import luigi

from pipeline.published import published_lines
from pipeline.write_report import REPORT, WriteReport
from tasks.evaluate_masks import RESULTS
from tasks.runtime.dag import stages
from tasks.runtime.quality import warnings_of
from tasks.runtime.stage import StageTask
from tasks.runtime.trained_model import MODEL

log = logging.getLogger("depthseed")


class RunAll(StageTask):
    """Runs all stages: pseudo-labels, a trained segmentation network, scores and a report. It writes nothing itself."""

    def requires(self):
        return {"report": self.upstream(WriteReport)}

    def complete(self):
        return self.required["report"].complete()

    def run(self):
        self.tell()

    def output(self):
        return []

    def tell(self) -> None:
        """Log the last lines of a run: the scores, and the paths of the results."""
        report = self.required["report"]
        scores = report.required["scores"].read()
        if tags := report.tag_scores():
            log.info("%-14s mAP %.1f %%, F1 %.1f %% on evaluation tags", "classifier", tags["map"], tags["f1_micro"])
        folders = report.required["dataset"].folders()
        for name, score in scores.items():
            known = score and score["miou"] is not None
            told = f"mIoU {score['miou']:.1f} %" if known else "no ground truth, no score"
            log.info("%-14s %s on %s", name, told, folders.get(RESULTS[name].split, RESULTS[name].split))
        for stage in stages(report):
            for line in warnings_of(stage.artifact):
                log.warning("%-14s %s: %s", "WARNING", stage.label, line)
        for line in published_lines(report.required["predictions"]):
            log.info("%-14s %s", "paper", line)
        for title in ("pseudo_labels", "predictions"):
            log.info("%-14s %s", title.replace("_", "-"), report.required[title].artifact.path)
        if "model" in report.required:
            log.info("model          %s", report.required["model"].artifact.path / MODEL)
        log.info("report         %s", report.artifact.path / REPORT)


@RunAll.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _nothing_to_do(task):
    if isinstance(task, RunAll):
        log.info("RunAll: everything is complete already, nothing was run")
        task.tell()
