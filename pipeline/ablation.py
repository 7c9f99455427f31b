"""A grid of variants and seeds through the one pipeline: which parameter makes which difference."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import luigi

from data.sample import EVALUATION, TRAIN
from pipeline.comparison import Comparison, chosen
from pipeline.grid import HEADS, LOSSES, Settings, Variant, parse_vary, read_grid, variants
from tasks.extract_cams import ExtractCams
from tasks.methods import REGISTRY
from tasks.predict_masks import PredictMasks

LEFT_OUT = "-"
"""For an axis (luigi takes an empty flag for none)."""


class Ablation(Comparison):
    """Losses, CAM heads and any other parameters, each with each; writes ``ablation.csv``, ``.md``, ``report.html``.

    ``--losses - --heads -`` leave these two axes out; a method without a classifier has neither.
    """

    losses = luigi.Parameter(default="none,deal,isl+fsl,all", description=f"losses on the maps: {', '.join(LOSSES)}")
    heads = luigi.Parameter(default="gap", description=f"CAM heads: {', '.join(HEADS)}")
    vary = luigi.Parameter(default="", description="further axes: Stage.parameter=value,value;Stage.parameter=value")
    grid = luigi.Parameter(default="", description="TOML file of further axes: tables [axis.value.Stage]")

    @functools.cached_property
    def variants(self) -> list[Variant]:
        """The points of the grid, seeds apart."""
        axes = {
            **self._axis("losses", self.losses, LOSSES),
            **self._axis("head", self.heads, HEADS),
            **parse_vary(self.vary),
            **(read_grid(Path(self.grid)) if self.grid else {}),
        }
        return variants(axes)

    def _axis(self, name: str, text: str, known: Mapping[str, Settings]) -> dict[str, dict[str, Settings]]:
        return {} if text == LEFT_OUT or not self.has_classifier else {name: chosen(name, text, known)}

    @property
    def has_classifier(self) -> bool:
        """True where the method has one, whose CAMs are shown; else predictions are."""
        return ExtractCams in REGISTRY[self.method].stages

    @property
    def shown(self):
        return (ExtractCams, {}) if self.has_classifier else (PredictMasks, {"split": EVALUATION})

    @property
    def shown_split(self):
        return TRAIN if self.has_classifier else EVALUATION

    @property
    def pictures_title(self):
        return "CAMs" if self.has_classifier else "Predictions"

    def strip_of(self, index, sample, number, stores):
        from pipeline.report.strips import cam_strip, prediction_strip

        return (cam_strip if self.has_classifier else prediction_strip)(index, sample, number, stores)
