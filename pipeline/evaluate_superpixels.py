"""Scores of superpixels: patches, cells, depth-aware cells and SLIC (figures 3.5 to 3.7 of S. Kim, SNU 2022)."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

import luigi
import numpy as np

from data.errors import DatasetError
from data.files.labels import read_truth
from data.sample import EVALUATION, TRAIN, Sample
from data.store.artifact import Artifact, write_bytes
from pipeline.report.tables import csv_text, markdown_text
from tasks.discover_superpixels import MAX_CELLS, DiscoverSuperpixels
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth
from tasks.runtime.numeric import NumbersParameter, Range
from tasks.runtime.parameters import only
from tasks.runtime.shards import ImageInputs
from tasks.runtime.stage import StageTask

log = logging.getLogger("depthseed")

SUPERPIXELS = "superpixels"
"""Name of the superpixels among the inputs of `count_image`."""

CSV, MARKDOWN, PLOT = "superpixels.csv", "superpixels.md", "superpixels.svg"
KINDS: dict[str, dict[str, object]] = {
    "patches": {"units": "patches"},
    "cells": {"units": "cells", "depth_weight": 0.0},
    "depth-aware": {"units": "cells"},
    "slic": {"units": "slic"},
}
"""Kind of superpixels -> parameters of DiscoverSuperpixels."""

COLUMNS = {
    "superpixels": "superpixels per image",
    "ue": "UE",
    "asa": "ASA",
    "br": "BR",
    "bp": "BP",
    "border_recall": "border recall within 2 px",
    "border_precision": "border precision within 2 px",
    "best_miou": "best mIoU",
    "best_foreground_iou": "best foreground IoU",
}


def with_slic(kinds) -> bool:
    """True if SLIC is among the kinds."""
    return "slic" in kinds


def others_than_slic(kinds) -> bool:
    """True if there is another kind than SLIC."""
    return set(kinds) > {"slic"} or "slic" not in kinds


class EvaluateSuperpixels(StageTask):
    """Writes scores of superpixels as CSV, Markdown and plot.

    They are UE, ASA, BR and BP (S. Kim, SNU 2022, eqs. 3.9 to 3.12), border recall and precision (our form of BR and
    BP), and the mIoU and the foreground IoU of the best label map in which each superpixel has one class.
    """

    version = 3
    artifact_type = Artifact

    split = luigi.ChoiceParameter(
        default=EVALUATION, choices=(TRAIN, EVALUATION), description="split whose images are used; needs ground truth"
    )
    kinds = luigi.ChoiceListParameter(
        default=tuple(KINDS),
        choices=tuple(KINDS),
        description="kinds of superpixels to compare; depth-aware is left out if there is no depth",
    )
    taus = only(
        NumbersParameter((0.3, 0.5, 0.7), "values of tau for all kinds except slic", Range(at_least=-1, at_most=1)),
        kinds=others_than_slic,
    )
    counts = only(
        NumbersParameter(
            (10.0, 25.0, 50.0, 100.0),
            "requested numbers of superpixels per image, for slic",
            Range(at_least=1, at_most=MAX_CELLS),
            are_whole=True,
        ),
        kinds=with_slic,
    )

    @cached_property
    def variants(self) -> dict[tuple[str, str], DiscoverSuperpixels]:
        """What is compared: (kind, name of its point) -> stage."""
        found = {}
        for kind in self.kinds:
            if kind == "depth-aware" and not self._has_depth():
                continue
            points: dict[str, dict[str, object]] = (
                {f"{count:g} requested": {"cells": int(count)} for count in self.counts}
                if kind == "slic"
                else {f"tau {tau:g}": {"tau": tau} for tau in self.taus}
            )
            for value, point in points.items():
                settings = {**KINDS[kind], **point}
                found[kind, value] = self.upstream(DiscoverSuperpixels, split=self.split, **settings)
        return found

    def _has_depth(self) -> bool:
        return self.upstream(LoadDepth).source != "sensor" or self.upstream(IndexDataset).has_depth

    def requires(self):
        variants = {", ".join(variant): stage for variant, stage in self.variants.items()}
        return {"dataset": self.upstream(IndexDataset), **variants}

    def content_identity(self):
        return {"ground truth": self.required["dataset"].fingerprint(truth=True)}

    def watched(self):
        return [*super().watched(), self.required["dataset"].truth_files]

    def work(self) -> int:
        from pipeline.report.charts import lines_svg
        from tasks.runtime.counting import JobsOver, total_counts

        dataset = self.required["dataset"].read_with_truth()
        samples = dataset.split(self.split)
        if not any(sample.truth for sample in samples):
            raise DatasetError(
                f"{self.dataset}: the {self.split} split has no ground truth to measure superpixels with"
            )
        parts = [
            JobsOver(stage.open(), SUPERPIXELS, samples, count_image, dataset.num_classes, variant)
            for variant, stage in self.variants.items()
        ]
        totals = total_counts(self, parts)
        rows = {
            variant: summary(counts, confusion.toarray(), images)
            for variant in self.variants
            for counts, confusion, images in [totals[variant]]
        }
        write_bytes(self.artifact.path / CSV, _csv(rows).encode())
        text = markdown(rows)
        write_bytes(self.artifact.path / MARKDOWN, text.encode())
        lines = {
            title: {
                kind: [(row["superpixels"], row[name]) for (other, _), row in rows.items() if other == kind]
                for kind in dict.fromkeys(kind for kind, _ in rows)
            }
            for name, title in COLUMNS.items()
            if name != "superpixels"
        }
        write_bytes(self.artifact.path / PLOT, lines_svg(lines, COLUMNS["superpixels"]).encode())
        log.info("EvaluateSuperpixels:\n%s", text)
        return len(samples)


def count_image(sample: Sample, inputs: ImageInputs) -> tuple[np.ndarray, Any, int] | None:
    """Counts of one image, which can be added up over images; None if it has no ground truth.

    Returns
    -------
    counts : ndarray
        As of `models.superpixel_metrics.superpixel_counts`.
    confusion : csr_array, (K+1, K+2), int64
        `models.metrics.confusion_rows` of the best label map that the superpixels allow.
    images : int
        1.
    """
    from models.metrics import confusion_rows
    from models.superpixel_metrics import best_labels, superpixel_counts

    truth = read_truth(sample, inputs.num_classes)
    if truth is None:
        return None
    superpixels = inputs[SUPERPIXELS].read("superpixel").astype(np.int64)
    confusion = confusion_rows(truth, [best_labels(truth, superpixels)], inputs.num_classes + 1)
    return superpixel_counts(truth, superpixels), confusion, 1


def summary(counts: np.ndarray, confusion: np.ndarray, images: int) -> dict[str, float]:
    """One row of the table from summed counts (`COLUMNS`): superpixels per image, and scores in [0, 1]."""
    from models.metrics import mean_iou
    from models.superpixel_metrics import superpixel_scores

    square = confusion[:, :-1]
    hit, union = square[1:, 1:].sum(), square.sum() - square[0, 0]
    return {
        "superpixels": counts[-1] / images,
        **superpixel_scores(counts),
        "best_miou": mean_iou(confusion),
        "best_foreground_iou": hit / union if union else float("nan"),
    }


def _csv(rows: dict[tuple[str, str], dict[str, float]]) -> str:
    lines = [[*variant, *(f"{row[name]:.4f}" for name in COLUMNS)] for variant, row in rows.items()]
    return csv_text(["kind", "value", *COLUMNS], lines)


def markdown(rows: dict[tuple[str, str], dict[str, float]]) -> str:
    """The table as Markdown."""
    lines = [
        [*variant, *(f"{row[name]:.1f}" if name == "superpixels" else f"{row[name]:.3f}" for name in COLUMNS)]
        for variant, row in rows.items()
    ]
    return markdown_text(["kind", "value"], list(COLUMNS.values()), lines)
