"""A grid of variants and seeds, run through the same cached stages, to see what each parameter changes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import luigi

from data.sample import EVALUATION, TRAIN
from models.cam import HEADS
from models.losses import MAP_LOSSES
from pipeline.comparison import Comparison
from pipeline.grid import Settings, Variant, head_settings, joined, loss_settings, parse_vary, read_grid, variants
from tasks.extract_cams import ExtractCams
from tasks.methods import METHODS, labels_stage
from tasks.runtime.parameters import only
from tasks.train_classifier import TrainClassifier

LEFT_OUT = "-"
"""Value of `losses` or `heads` that leaves the axis out. luigi does not accept an empty flag for this."""


def has_classifier(ablation) -> bool:
    """True if the method has a classifier: its CAMs are shown then, and predictions otherwise."""
    return "cams" in METHODS[ablation.method].stages


class Ablation(Comparison):
    """All combinations of losses, CAM heads and any other parameters.

    It writes ``ablation.csv``, ``ablation.md`` and ``report.html``. ``--losses -`` and ``--heads -`` leave an axis out.
    A method without a classifier has neither of these axes.
    """

    losses = only(
        luigi.Parameter(
            default="none,deal,isl+fsl,all",
            description="combinations of losses on the maps, separated by commas: none, all, or "
            f"{', '.join(MAP_LOSSES)} joined by +; - = leave out",
        ),
        when=has_classifier,
    )
    heads = only(
        luigi.Parameter(
            default="gap", description=f"CAM heads, separated by commas: {', '.join(HEADS)}; - = leave out"
        ),
        when=has_classifier,
    )
    vary = luigi.Parameter(default="", description="more axes: Stage.parameter=value,value;Stage.parameter=value")
    grid = luigi.Parameter(default="", description="TOML file of more axes: tables [axis.value.Stage]")

    @functools.cached_property
    def variants(self) -> list[Variant]:
        """The points of the grid, without the seeds."""
        parts = [
            self._axis("losses", self.losses, self._losses),
            self._axis("head", self.heads, head_settings),
            parse_vary(self.vary),
            read_grid(Path(self.grid)) if self.grid else {},
        ]
        return variants(joined(parts))

    def _axis(self, name: str, text: str, settings_of: Callable[[str], Settings]) -> dict[str, dict[str, Settings]]:
        if text == LEFT_OUT or not has_classifier(self):
            return {}
        return {name: {value: settings_of(value) for value in text.split(",")}}

    def _losses(self, text: str) -> Settings:
        classifier = self.upstream(TrainClassifier)
        return loss_settings(text, {name: getattr(classifier, f"{name}_weight") for name in MAP_LOSSES})

    def shown_of(self, variant):
        return (ExtractCams, {}) if has_classifier(self) else (labels_stage(self.method), {"split": EVALUATION})

    @property
    def shown_split(self):
        return TRAIN if has_classifier(self) else EVALUATION

    @property
    def pictures_title(self):
        return "CAMs" if has_classifier(self) else "Predictions"

    def strip_of(self, dataset, sample, stored):
        from pipeline.report.strips import cam_strip, prediction_strip

        return (cam_strip if has_classifier(self) else prediction_strip)(dataset, sample, stored)
