"""A grid of variants of the pipeline through the same cached stages, and their table."""

from __future__ import annotations

import functools
import json
import logging
from pathlib import Path

import luigi
import numpy as np

from data.artifact import write_bytes
from data.errors import SettingError
from data.sample import TRAIN, spread
from pipeline.grid import HEADS, LOSSES, Variant, merged, parse_vary, read_grid, variants
from pipeline.report.tables import csv_text, markdown_text
from pipeline.write_report import REPORT, TITLES
from tasks.base import StageTask
from tasks.evaluate_masks import RESULTS, EvaluateMasks
from tasks.extract_cams import ExtractCams
from tasks.index_dataset import IndexDataset

log = logging.getLogger("depthseed")

CSV, MARKDOWN = "ablation.csv", "ablation.md"
MEASURES = {"miou": "mIoU", "boundary_f": "boundary F"}


class Ablation(StageTask):
    """Trains and scores every variant for every seed; writes ``ablation.csv``, ``ablation.md`` and ``report.html``.

    Variants share what they have in common: a stage with the same parameters and inputs is one artifact.
    """

    suffix = ""

    losses = luigi.Parameter(default="none,deal,isl+fsl,all", description=f"losses on the maps: {', '.join(LOSSES)}")
    heads = luigi.Parameter(default="gap", description=f"CAM heads: {', '.join(HEADS)}")
    seeds = luigi.Parameter(default="0,1,2", description="each variant runs with each of these seeds")
    vary = luigi.Parameter(default="", description="further axes: Stage.parameter=value,value;Stage.parameter=value")
    grid = luigi.Parameter(default="", description="TOML file of further axes: tables [axis.value.Stage]")
    results = luigi.ChoiceListParameter(default=RESULTS, choices=RESULTS, description="what is scored")
    images = luigi.IntParameter(default=6, description="training images whose CAMs are shown")

    @functools.cached_property
    def variants(self) -> list[Variant]:
        """The points of the grid, seeds apart."""
        axes = {
            "losses": _chosen("losses", self.losses, LOSSES),
            "head": _chosen("heads", self.heads, HEADS),
            **parse_vary(self.vary),
            **(read_grid(Path(self.grid)) if self.grid else {}),
        }
        return variants(axes)

    def seed_list(self) -> list[int]:
        try:
            return [int(seed) for seed in self.seeds.split(",")]
        except ValueError:
            raise SettingError(f"seeds '{self.seeds}' are not whole numbers; write them as 0,1,2") from None

    def of_variant(self, stage: type[StageTask], variant: Variant, seed: int, **parameters) -> StageTask:
        """A stage of one variant; `settings` given to the ablation itself hold for all."""
        return self.upstream(stage, seed=seed, settings=merged([self.settings, variant.settings]), **parameters)

    def requires(self):
        cells = [(variant, seed) for seed in self.seed_list() for variant in self.variants]
        scores = [self.of_variant(EvaluateMasks, *cell, results=self.results) for cell in cells]
        cams = [self.of_variant(ExtractCams, variant, self.seed_list()[0]) for variant in self.variants]
        return [self.upstream(IndexDataset), *scores, *cams]

    def work(self) -> int:
        from pipeline.report.charts import bars_svg
        from pipeline.report.page import render_page

        table = {
            variant.name: [self.of_variant(EvaluateMasks, variant, seed, results=self.results).read() for seed in seeds]
            for seeds in [self.seed_list()]
            for variant in self.variants
        }
        write_bytes(self.artifact.path / CSV, self._csv(table).encode())
        text = markdown_table(table, self.results)
        write_bytes(self.artifact.path / MARKDOWN, text.encode())
        charts = [
            {"title": f"{TITLES[result]}, {title}", "svg": bars_svg(spread, "%")}
            for result in self.results
            for measure, title in MEASURES.items()
            if (spread := {name: values_of(scores, result, measure) for name, scores in table.items()})
            and any(spread.values())
        ]
        columns, rows = table_cells(table, self.results)
        content = {
            "dataset": self.dataset, "profile": self.profile, "seeds": self.seed_list(),
            "columns": columns, "rows": rows, "charts": charts, "strips": self._strips(),
            "settings": [(variant.name, json.dumps(variant.settings)) for variant in self.variants],
        }  # fmt: skip
        write_bytes(self.artifact.path / REPORT, render_page(content, "ablation.html").encode())
        log.info("Ablation:\n%s", text)
        return len(table) * len(self.seed_list())

    def _csv(self, table: dict[str, list[dict]]) -> str:
        """One line a variant, seed and result; percent."""
        rows = []
        for variant in self.variants:
            for seed, scores in zip(self.seed_list(), table[variant.name], strict=True):
                for result in self.results:
                    score = scores[result] or {}
                    values = [score.get(measure) for measure in (*MEASURES, "threshold")]
                    rows.append([*variant.values.values(), seed, result, *values])
        return csv_text([*self.variants[0].values, "seed", "result", *MEASURES, "threshold"], rows)

    def _strips(self) -> list[dict]:
        """The CAMs of some training images, variant beside variant, of the first seed."""
        from pipeline.report.colours import data_uri
        from pipeline.report.strips import cam_strip

        index = self.upstream(IndexDataset).read_with_truth()
        samples = index.split(TRAIN)
        seed = self.seed_list()[0]
        stores = {variant.name: self.of_variant(ExtractCams, variant, seed).artifact for variant in self.variants}
        strips = []
        for number in spread(samples, self.images):
            panels = cam_strip(index, samples[number], number, stores)
            pictures = [(title, data_uri(picture)) for title, picture in panels.items()]
            strips.append({"image_id": samples[number].image_id, "panels": pictures})
        return strips


def _chosen(parameter: str, text: str, known: dict) -> dict:
    names = text.split(",")
    for name in names:
        if name not in known:
            raise SettingError(f"{parameter} '{name}' is unknown; there are: {', '.join(known)}")
    return {name: known[name] for name in names}


def values_of(scores: list[dict], result: str, measure: str) -> list[float]:
    """One value a seed, percent; those without ground truth are left out."""
    return [score[result][measure] for score in scores if score[result] and score[result][measure] is not None]


def table_cells(table: dict[str, list[dict]], results) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Titles of the columns, and (variant, cells): mean ± standard deviation over the seeds."""
    columns = [f"{TITLES[result]} {title}" for result in results for title in MEASURES.values()]

    def cell(values: list[float]) -> str:
        if not values:
            return "–"
        return f"{np.mean(values):.1f}" + (f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else "")

    rows = [
        (name, [cell(values_of(scores, result, measure)) for result in results for measure in MEASURES])
        for name, scores in table.items()
    ]
    return columns, rows


def markdown_table(table: dict[str, list[dict]], results) -> str:
    """The table for a document: mean ± standard deviation over the seeds, percent."""
    columns, rows = table_cells(table, results)
    return markdown_text(["variant"], columns, ([name, *cells] for name, cells in rows))
