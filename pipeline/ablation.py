"""A grid of variants and seeds through the one pipeline: which parameter makes which difference."""

from __future__ import annotations

import functools
from pathlib import Path

import luigi

from data.sample import TRAIN
from pipeline.comparison import Comparison, chosen
from pipeline.grid import HEADS, LOSSES, Variant, parse_vary, read_grid, variants
from tasks.extract_cams import ExtractCams


class Ablation(Comparison):
    """Losses, CAM heads and any other parameters, each with each; writes ``ablation.csv``, ``.md``, ``report.html``."""

    losses = luigi.Parameter(default="none,deal,isl+fsl,all", description=f"losses on the maps: {', '.join(LOSSES)}")
    heads = luigi.Parameter(default="gap", description=f"CAM heads: {', '.join(HEADS)}")
    vary = luigi.Parameter(default="", description="further axes: Stage.parameter=value,value;Stage.parameter=value")
    grid = luigi.Parameter(default="", description="TOML file of further axes: tables [axis.value.Stage]")

    shown = (ExtractCams, {})
    shown_split = TRAIN
    pictures_title = "CAMs"

    @functools.cached_property
    def variants(self) -> list[Variant]:
        """The points of the grid, seeds apart."""
        axes = {
            "losses": chosen("losses", self.losses, LOSSES),
            "head": chosen("heads", self.heads, HEADS),
            **parse_vary(self.vary),
            **(read_grid(Path(self.grid)) if self.grid else {}),
        }
        return variants(axes)

    @staticmethod
    def strip_of(index, sample, number, stores):
        from pipeline.report.strips import cam_strip

        return cam_strip(index, sample, number, stores)
