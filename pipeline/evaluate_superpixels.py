"""Scores of superpixels, features and rules of discovery (table 3.5, figures 3.5 to 3.12 of S. Kim, SNU 2022)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import luigi
import numpy as np

from data.errors import DatasetError, ImageError, SettingError
from data.files.instance_truth import instance_file, instance_map, read_instances
from data.files.labels import read_truth
from data.sample import EVALUATION, TRAIN, Sample
from data.store.artifact import Artifact, write_bytes
from pipeline.grid import merged
from pipeline.report.tables import csv_text, markdown_text
from tasks.discover_superpixels import MAX_CELLS, DiscoverSuperpixels
from tasks.evaluate_instances import instance_numbers
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth
from tasks.presets import Settings
from tasks.runtime.luigi_seam import choices_of
from tasks.runtime.numeric import NumbersParameter, Range
from tasks.runtime.parameters import one_of, only
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
    "opencv-slic": {"units": "opencv_slic"},
    "seeds": {"units": "opencv_seeds"},
    "lsc": {"units": "opencv_lsc"},
}
"""Kind of superpixels -> parameters of DiscoverSuperpixels. Those of table 3.5 need OpenCV (``depthseed[opencv]``)."""

BY_COUNT, BY_SIZE = ("slic", "seeds"), ("opencv-slic", "lsc")
"""Kinds without features: those with a requested number of superpixels, and those with a requested size."""

CURVE = ("BP against BR", "br", "bp")
"""Title and scores of the boundary precision-recall curves (figure 3.6)."""

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


def has_one_by_count(kinds) -> bool:
    """True if a kind has a requested number of superpixels."""
    return bool(set(kinds) & set(BY_COUNT))


def has_one_by_size(kinds) -> bool:
    """True if a kind has a requested size of superpixels."""
    return bool(set(kinds) & set(BY_SIZE))


def has_one_with_features(kinds) -> bool:
    """True if a kind groups features."""
    return bool(set(kinds) - {*BY_COUNT, *BY_SIZE})


class EvaluateSuperpixels(StageTask):
    """Writes scores of superpixels as CSV, Markdown and plot.

    They are UE, ASA, BR and BP (S. Kim, SNU 2022, eqs. 3.9 to 3.12), border recall and precision (our form of BR and
    BP), and the mIoU and the foreground IoU of the best label map in which each superpixel has one class.
    """

    version = 4
    artifact_type = Artifact

    split = luigi.ChoiceParameter(
        default=EVALUATION, choices=(TRAIN, EVALUATION), description="split whose images are used; needs ground truth"
    )
    kinds = luigi.ChoiceListParameter(
        default=("patches", "cells", "depth-aware", "slic"),
        choices=tuple(KINDS),
        description="kinds of superpixels to compare; depth-aware is left out if no image has depth",
    )
    taus = only(
        NumbersParameter((0.3, 0.5, 0.7), "values of tau for all kinds with features", Range(at_least=-1, at_most=1)),
        kinds=has_one_with_features,
    )
    features = only(
        luigi.Parameter(
            default="",
            description="features to compare (figure 3.10): rgb or timm names, separated by commas, each with =WEIGHTS "
            "if its weights are not those of ExtractKeys; empty: those of ExtractKeys",
        ),
        kinds=has_one_with_features,
    )
    rules = only(
        luigi.Parameter(
            default="",
            description="rules of discovery to compare, such as lowest,highest,ncut (figure 3.12); empty: that of "
            "DiscoverSuperpixels",
        ),
        kinds=has_one_with_features,
    )
    counts = only(
        NumbersParameter(
            (10.0, 25.0, 50.0, 100.0),
            "requested numbers of superpixels per image, for slic and seeds; published for seeds: 30,50,80,100",
            Range(at_least=1, at_most=MAX_CELLS),
            are_whole=True,
        ),
        kinds=has_one_by_count,
    )
    sizes = only(
        NumbersParameter(
            (50.0, 80.0, 100.0, 130.0),
            "requested sides of superpixels in pixels, for opencv-slic and lsc; the default is published",
            Range(at_least=4, at_most=1000),
            are_whole=True,
        ),
        kinds=has_one_by_size,
    )

    truth = one_of(
        ("classes", "instances"),
        "classes",
        "ground truth: classes; or instances, where each instance number is a class of its own",
    )

    @cached_property
    def variants(self) -> dict[tuple[str, str], DiscoverSuperpixels]:
        """What is compared: (kind with features and rule, name of its point) -> stage."""
        found = {}
        for kind in self.kinds:
            if kind == "depth-aware" and not self._has_depth():
                continue
            for value, point in self._points(kind).items():
                for name, settings in self._choices(kind).items():
                    own = {**KINDS[kind], **point, **settings.get("DiscoverSuperpixels", {})}
                    found[name, value] = self.upstream(
                        DiscoverSuperpixels, split=self.split, settings=merged([self.settings, settings]), **own
                    )
        return found

    def _points(self, kind: str) -> dict[str, dict[str, object]]:
        """Name of each point on the line of a kind -> parameters of DiscoverSuperpixels."""
        if kind in BY_COUNT:
            return {f"{count:g} requested": {"cells": int(count)} for count in self.counts}
        if kind in BY_SIZE:
            return {f"side {size:g}": {"region_size": int(size)} for size in self.sizes}
        return {f"tau {tau:g}": {"tau": tau} for tau in self.taus}

    def _choices(self, kind: str) -> dict[str, Settings]:
        """Name of each line of a kind -> settings: all combinations of features and rules, if it has features."""
        if kind in (*BY_COUNT, *BY_SIZE):
            return {kind: {}}
        found: dict[str, Settings] = {}
        features = [feature.strip().partition("=") for feature in self.features.split(",")]
        named = Counter(backbone for backbone, _, _ in features)
        for backbone, separator, weights in features:
            title = f"{backbone}{separator}{weights}" if named[backbone] > 1 else backbone
            keys = {**({"backbone": backbone} if backbone else {}), **({"weights": weights} if weights else {})}
            for rule in self.rules.split(","):
                chosen = {"seed_rule": _rule(rule.strip())} if rule else {}
                name = ", ".join(filter(None, [kind, title, rule.strip()]))
                found[name] = {"ExtractKeys": keys, "DiscoverSuperpixels": chosen}
        return found

    def _has_depth(self) -> bool:
        """True if an image of the split has depth."""
        index = self.upstream(IndexDataset)
        if index.is_rendered or self.upstream(LoadDepth).source != "sensor":
            return True
        return any(sample.depth is not None for sample in index.indexed.split(self.split))

    def findings(self):
        if "depth-aware" not in self.kinds:
            return []
        samples = self.inputs["dataset"].split(self.split)
        if not self._has_depth():
            return [f"no image of the {self.split} split has depth, so depth-aware superpixels are left out"]
        without = 0 if self.upstream(LoadDepth).source != "sensor" else sum(sample.depth is None for sample in samples)
        found = f"{without} of {len(samples)} images have no depth: their depth-aware superpixels are plain cells"
        return [found] if without else []

    def requires(self):
        variants = {", ".join(variant): stage for variant, stage in self.variants.items()}
        return {"dataset": self.upstream(IndexDataset), **variants}

    @cached_property
    def numbered(self):
        """The files of instance numbers."""
        return self.required["dataset"].new_watch()

    def content_identity(self):
        index = self.required["dataset"]
        content = {"ground truth": index.fingerprint(truth=True)}
        if self.truth == "instances" and not index.is_rendered:
            content["instances"] = instance_numbers(index.indexed.split(self.split), self.numbered)
        return content

    def watched(self):
        return [*super().watched(), self.required["dataset"].truth_files, self.numbered]

    def parameters(self):
        # Classes were all that there was: the identity of such a table stays.
        return {name: value for name, value in super().parameters().items() if (name, value) != ("truth", "classes")}

    def work(self) -> int:
        from pipeline.report.charts import lines_svg
        from tasks.runtime.counting import JobsOver, total_counts

        dataset = self.required["dataset"].read_with_truth()
        samples = dataset.split(self.split)
        by_instance = self.truth == "instances"
        if not self.variants:
            raise DatasetError(
                f"{self.dataset}: no image of the {self.split} split has depth; add another kind than depth-aware to "
                "--EvaluateSuperpixels-kinds"
            )
        if not any(sample.truth or (by_instance and instance_file(sample)) for sample in samples):
            raise DatasetError(
                f"{self.dataset}: the {self.split} split has no ground truth to measure superpixels with"
            )
        parts = [
            JobsOver(
                stage.open(), SUPERPIXELS, samples, count_instances if by_instance else count_image,
                dataset.num_classes, variant,
            )
            for variant, stage in self.variants.items()
        ]  # fmt: skip
        totals = total_counts(self, parts)
        if len(totals) < len(parts):
            raise DatasetError(
                f"{self.dataset}: no image of the {self.split} split has {self.truth} as ground truth; for instances: "
                "BOP masks, a COCO file, or instances/NAME.png beside images/"
            )
        rows = {
            variant: summary(counts, confusion.toarray(), images)
            for variant in self.variants
            for counts, confusion, images in [totals[variant]]
        }
        write_bytes(self.artifact.path / CSV, _csv(rows).encode())
        text = markdown(rows)
        write_bytes(self.artifact.path / MARKDOWN, text.encode())
        panels = {
            title: lines_of(rows, "superpixels", name) for name, title in COLUMNS.items() if name != "superpixels"
        }
        title, across, up = CURVE
        axes = {**dict.fromkeys(panels, COLUMNS["superpixels"]), title: COLUMNS[across]}
        plot = lines_svg({**panels, title: lines_of(rows, across, up)}, axes)
        write_bytes(self.artifact.path / PLOT, plot.encode())
        log.info("EvaluateSuperpixels:\n%s", text)
        for variant, stage in self.variants.items():
            if (record := stage.record()) and record.get("images"):
                log.info("%s: %.3f seconds an image", ", ".join(variant), record["seconds"] / record["images"])
        return len(samples)


def _rule(name: str) -> str:
    """The name of a rule of discovery; SettingError if it is unknown."""
    known = choices_of(DiscoverSuperpixels.seed_rule)
    if name not in known:
        raise SettingError(f"--EvaluateSuperpixels-rules: '{name}' is unknown; use {', '.join(sorted(known))}")
    return name


def lines_of(
    rows: Mapping[tuple[str, str], Mapping[str, float]], across: str, up: str
) -> dict[str, list[tuple[float, float]]]:
    """The lines of a plot of two scores: kind -> points.

    Examples
    --------
    >>> rows = {("slic", "10"): {"br": 0.5, "bp": 0.1}, ("slic", "20"): {"br": 0.6, "bp": 0.05}}
    >>> lines_of(rows, "br", "bp")
    {'slic': [(0.5, 0.1), (0.6, 0.05)]}
    """
    kinds = dict.fromkeys(kind for kind, _ in rows)
    return {kind: [(row[across], row[up]) for (other, _), row in rows.items() if other == kind] for kind in kinds}


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
    truth = read_truth(sample, inputs.num_classes)
    return None if truth is None else _counts(truth, inputs, inputs.num_classes)


MOST_INSTANCES = 255
"""Instances of an image."""


def count_instances(sample: Sample, inputs: ImageInputs) -> tuple[np.ndarray, Any, int] | None:
    """Same as `count_image`, with the number of an instance as its class; K is `MOST_INSTANCES`.

    Raises
    ------
    ImageError
        If an image has more instances.
    """
    instances = read_instances(sample, inputs.num_classes)
    if instances is None:
        return None
    if len(instances) > MOST_INSTANCES:
        raise ImageError(f"{sample.image_id}: has {len(instances)} instances, at most {MOST_INSTANCES} can be measured")
    return _counts(instance_map(instances, sample.size), inputs, MOST_INSTANCES)


def _counts(truth: np.ndarray, inputs: ImageInputs, num_classes: int) -> tuple[np.ndarray, Any, int]:
    from models.metrics import confusion_rows
    from models.superpixel_metrics import best_labels, superpixel_counts

    superpixels = inputs[SUPERPIXELS].read("superpixel").astype(np.int64)
    confusion = confusion_rows(truth, [best_labels(truth, superpixels)], num_classes + 1)
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
