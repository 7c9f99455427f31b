"""A grid of variants and seeds through the one pipeline: which parameter makes which difference."""

from __future__ import annotations

import functools
from pathlib import Path

import luigi

from data.sample import EVALUATION, TRAIN
from pipeline.comparison import Comparison, chosen
from pipeline.grid import HEADS, LOSSES, Variant, parse_vary, read_grid, variants
from tasks.extract_cams import ExtractCams
from tasks.methods import REGISTRY
from tasks.predict_masks import PredictMasks


class Ablation(Comparison):
    """Losses, CAM heads and any other parameters, each with each; writes ``ablation.csv``, ``.md``, ``report.html``.

    ``--losses "" --heads ""`` leave these two axes out, as for a method without a classifier.
    """

    losses = luigi.Parameter(default="none,deal,isl+fsl,all", description=f"losses on the maps: {', '.join(LOSSES)}")
    heads = luigi.Parameter(default="gap", description=f"CAM heads: {', '.join(HEADS)}")
    vary = luigi.Parameter(default="", description="further axes: Stage.parameter=value,value;Stage.parameter=value")
    grid = luigi.Parameter(default="", description="TOML file of further axes: tables [axis.value.Stage]")

    @functools.cached_property
    def variants(self) -> list[Variant]:
        """The points of the grid, seeds apart."""
        axes = {
            **({"losses": chosen("losses", self.losses, LOSSES)} if self.losses else {}),
            **({"head": chosen("heads", self.heads, HEADS)} if self.heads else {}),
            **parse_vary(self.vary),
            **(read_grid(Path(self.grid)) if self.grid else {}),
        }
        return variants(axes)

    @property
    def shows_cams(self) -> bool:
        """True where the method has CAMs; else predictions are shown."""
        return ExtractCams in REGISTRY[self.method].stages

    @property
    def shown(self):
        return (ExtractCams, {}) if self.shows_cams else (PredictMasks, {"split": EVALUATION})

    @property
    def shown_split(self):
        return TRAIN if self.shows_cams else EVALUATION

    @property
    def pictures_title(self):
        return "CAMs" if self.shows_cams else "Predictions"

    def strip_of(self, index, sample, number, stores):
        from pipeline.report.strips import cam_strip, prediction_strip

        return (cam_strip if self.shows_cams else prediction_strip)(index, sample, number, stores)
