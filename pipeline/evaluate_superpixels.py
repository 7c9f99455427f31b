"""Superpixels against ground truth: plain, depth-aware and SLIC at several counts (figures 3.5 to 3.7 of Kim 2022)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import luigi
import numpy as np

from data.errors import DatasetError
from data.files.labels import read_truth
from data.sample import EVALUATION, TRAIN, Sample
from data.store.artifact import write_bytes
from data.store.sharded import ShardedStore
from pipeline.report.tables import csv_text, markdown_text
from tasks.discover_superpixels import DiscoverSuperpixels
from tasks.index_dataset import IndexDataset
from tasks.runtime.stage import ScalesParameter, StageTask

log = logging.getLogger("depthseed")

CSV, MARKDOWN, PLOT = "superpixels.csv", "superpixels.md", "superpixels.svg"
KINDS: dict[str, dict[str, object]] = {
    "patches": {"units": "patches"},
    "cells": {"units": "cells", "depth_weight": 0.0},
    "depth-aware": {"units": "cells"},
    "slic": {"units": "slic"},
}
"""What is compared -> parameters of DiscoverSuperpixels."""

COLUMNS = {
    "superpixels": "superpixels an image",
    "ue": "UE",
    "asa": "ASA",
    "br": "BR",
    "bp": "BP",
    "best_miou": "best mIoU",
    "best_foreground_iou": "best foreground IoU",
}


class EvaluateSuperpixels(StageTask):
    """Writes UE, ASA, BR, BP and what the best labels of each kind would score, as CSV, Markdown and plot."""

    suffix = ""

    split = luigi.ChoiceParameter(default=EVALUATION, choices=(TRAIN, EVALUATION), description="images with truth")
    kinds = luigi.ChoiceListParameter(
        default=tuple(KINDS), choices=KINDS, description="what is compared; depth-aware is left out without depth"
    )
    taus = ScalesParameter(default=(0.3, 0.5, 0.7), description="of plain and depth-aware discovery")
    counts = ScalesParameter(default=(10.0, 25.0, 50.0, 100.0), description="of SLIC, an image")

    def variants(self) -> dict[tuple[str, str], DiscoverSuperpixels]:
        """(kind, value) -> stage."""
        has_depth = self.upstream(IndexDataset).scan().has_depth
        found = {}
        for kind in self.kinds:
            if kind == "depth-aware" and not has_depth:
                continue
            points: dict[str, dict[str, object]] = (
                {f"{count:g} asked": {"cells": int(count)} for count in self.counts}
                if kind == "slic"
                else {f"tau {tau:g}": {"tau": tau} for tau in self.taus}
            )
            for value, point in points.items():
                settings = {**KINDS[kind], **point}
                found[kind, value] = self.upstream(DiscoverSuperpixels, split=self.split, **settings)
        return found

    def requires(self):
        return [self.upstream(IndexDataset), *self.variants().values()]

    def content_identity(self):
        return {"ground truth": self.upstream(IndexDataset).fingerprint(truth=True)}

    def work(self) -> int:
        from pipeline.report.charts import lines_svg

        index = self.upstream(IndexDataset).read_with_truth()
        samples = index.split(self.split)
        if not any(sample.truth for sample in samples):
            raise DatasetError(
                f"{self.dataset}: the {self.split} split has no ground truth to measure superpixels with"
            )
        jobs = [
            (variant, stage.artifact.path, numbers, [samples[number] for number in numbers], index.num_classes)
            for variant, stage in self.variants().items()
            for shard in range(stage.artifact.num_shards())
            for numbers in [stage.artifact.images_of(shard)]
        ]
        found: dict[tuple[str, str], list] = {}
        for variant, *counts in self.progress(self.map_shards(count_shard, jobs), len(jobs), "shard"):
            found[variant] = [old + new for old, new in zip(found.get(variant, [0, 0, 0]), counts, strict=True)]
        rows = {variant: summary(*found[variant]) for variant in self.variants()}
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


def count_shard(
    variant: tuple[str, str], path: Path, numbers: Sequence[int], samples: Sequence[Sample], num_classes: int
) -> tuple[tuple[str, str], np.ndarray, np.ndarray, int]:
    """Counts of one shard of one variant: of its superpixels, the confusion of their best labels, its images."""
    from models.metrics import confusion_matrix
    from models.superpixel_metrics import COUNTS, best_labels, superpixel_counts

    store = ShardedStore(path)
    total = np.zeros(len(COUNTS), np.int64)
    confusion = np.zeros((num_classes + 1, num_classes + 2), np.int64)
    images = 0
    for number, sample in zip(numbers, samples, strict=True):
        truth = read_truth(sample, num_classes)
        if truth is None:
            continue
        height, width = sample.size
        superpixels = store.read_image("superpixel", number)[:height, :width].astype(np.int64)
        total += superpixel_counts(truth, superpixels)
        confusion += confusion_matrix(truth, best_labels(truth, superpixels), num_classes + 1)
        images += 1
    return variant, total, confusion, images


def summary(counts: np.ndarray, confusion: np.ndarray, images: int) -> dict[str, float]:
    """A row of the table, scores in [0, 1]."""
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
    """The table for a document."""
    lines = [
        [*variant, *(f"{row[name]:.1f}" if name == "superpixels" else f"{row[name]:.3f}" for name in COLUMNS)]
        for variant, row in rows.items()
    ]
    return markdown_text(["kind", "value"], list(COLUMNS.values()), lines)
