"""Stage 11: stub during construction."""
from __future__ import annotations
from tasks.base import StageTask
from tasks.evaluate_masks import EvaluateMasks
REPORT = "report.html"
class WriteReport(StageTask):
    suffix = ""
    def requires(self):
        return [self.upstream(EvaluateMasks)]
    def work(self):
        (self.artifact.path / REPORT).write_text("x")
