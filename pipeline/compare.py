"""Comparison of methods on one data set."""

from __future__ import annotations

import functools

import luigi

from data.sample import EVALUATION
from pipeline.comparison import Comparison, chosen
from pipeline.grid import Variant
from tasks.methods import METHODS, labels_stage


class Compare(Comparison):
    """Runs every method with every seed; writes ``compare.csv``, ``compare.md`` and ``report.html``."""

    methods = luigi.Parameter(
        default="superpixel,masking", description=f"methods, separated by commas: {', '.join(METHODS)}"
    )

    shown_split = EVALUATION
    pictures_title = "Predictions"

    @functools.cached_property
    def variants(self) -> list[Variant]:
        """One per method."""
        return [Variant({"method": name}, {}, name) for name in chosen("methods", self.methods, METHODS)]

    def shown_of(self, variant):
        return labels_stage(variant.method), {"split": EVALUATION}

    def strip_of(self, dataset, sample, stored):
        from pipeline.report.strips import prediction_strip

        return prediction_strip(dataset, sample, stored)
