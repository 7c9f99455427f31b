"""The base of the comparisons: scores of every variant with every seed, in one table, charts and pictures."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence

import luigi
import numpy as np

from data.errors import SettingError
from data.sample import spread
from data.store.artifact import Artifact, write_bytes
from pipeline.grid import Variant, merged
from pipeline.report.tables import csv_text, markdown_text
from pipeline.write_report import REPORT
from tasks.evaluate_masks import MATCHED_WITH_TRUTH, RESULTS, EvaluateMasks
from tasks.index_dataset import IndexDataset
from tasks.methods import METHODS
from tasks.runtime.numeric import whole
from tasks.runtime.quality import listed
from tasks.runtime.stage import Stages, StageTask

log = logging.getLogger("depthseed")

MEASURES = {
    "miou": "mIoU",
    "boundary_f": "boundary F",
    "boundary_recall": "boundary recall",
    "pixel_accuracy": "pixel accuracy",
}
"""Key of a score -> its title in tables and charts."""


class Comparison(StageTask):
    """Trains and scores every variant with every seed; writes a CSV file, a Markdown table and ``report.html``.

    Variants share the artifacts of stages with the same parameters and inputs. A subclass defines `variants` and what
    the pictures show: `strip_of` gets the results of the stage `shown_of` with the first seed, on images of the split
    `shown_split`.
    """

    artifact_type = Artifact

    seeds = luigi.Parameter(default="0,1,2", description="seeds, separated by commas; each variant runs with each seed")
    results = luigi.ChoiceListParameter(
        default=(),
        choices=tuple(RESULTS),
        description="results that are scored, empty = all that the methods have in common",
    )
    measures = luigi.ChoiceListParameter(
        default=("miou", "boundary_f"),
        choices=tuple(MEASURES),
        description="scores in the table and the charts; the CSV file has all scores",
    )
    images = whole(6, "number of images shown", at_least=0)

    def shown_of(self, variant: Variant) -> tuple[type[StageTask], Mapping[str, object]]:
        """The stage whose results the pictures of a variant show, and its parameters."""
        raise NotImplementedError

    @property
    def shown_split(self) -> str:
        """The split whose images are shown."""
        raise NotImplementedError

    @property
    def pictures_title(self) -> str:
        """Title above the pictures."""
        raise NotImplementedError

    @property
    def variants(self) -> Sequence[Variant]:
        """The variants to compare, without the seeds."""
        raise NotImplementedError

    def strip_of(self, dataset, sample, stored):
        """Pictures of one image: title -> (H, W, 3) uint8. `stored`: name of the variant -> `StoredImage`."""
        raise NotImplementedError

    @property
    def scored(self) -> tuple[str, ...]:
        """Names of the scored results."""
        common = [METHODS[variant.method or self.method].results for variant in self.variants]
        return tuple(self.results) or tuple(name for name in common[0] if all(name in names for names in common))

    def parameters(self):
        # The page shows the name of the profile, of which two may have the same constants, and the axes and settings of
        # the variants, of which some may change no result.
        grid = [[list(variant.values.items()), variant.settings] for variant in self.variants]
        return {**super().parameters(), "results": self.scored, "profile": self.profile, "variants": grid}

    def seed_list(self) -> list[int]:
        """The seeds as numbers; SettingError if they are not whole numbers of at least 0, each once."""
        seeds = [int(seed) if seed.strip().isdecimal() else -1 for seed in self.seeds.split(",")]
        if -1 in seeds or len(set(seeds)) < len(seeds):
            raise SettingError(
                f"--{type(self).__name__}-seeds is {self.seeds}; set it to different whole numbers of at least 0, "
                "separated by commas, such as 0,1,2"
            )
        return seeds

    def of_variant(self, stage: type[StageTask], variant: Variant, seed: int, **parameters) -> StageTask:
        """A stage of one variant. The `settings` of the comparison hold for all variants; those of the variant win."""
        common = {"seed": seed, "settings": merged([self.settings, variant.settings])}
        return self.upstream(stage, **common, method=variant.method or self.method, **parameters)

    def requires(self):
        stages: Stages = {"dataset": self.upstream(IndexDataset)}
        for variant in self.variants:
            for seed in self.seed_list():
                scores = self.of_variant(EvaluateMasks, variant, seed, results=self.scored)
                stages[scores_name(variant, seed)] = scores
            stage, parameters = self.shown_of(variant)
            stages[shown_name(variant)] = self.of_variant(stage, variant, self.seed_list()[0], **parameters)
        return stages

    def work(self) -> int:
        from pipeline.report.charts import bars_svg
        from pipeline.report.page import render_page

        name = type(self).__name__
        table = {
            variant.name: [self.required[scores_name(variant, seed)].read() for seed in self.seed_list()]
            for variant in self.variants
        }
        write_bytes(self.artifact.path / f"{name.lower()}.csv", self._csv(table).encode())
        text = markdown_table(table, self.scored, self.measures)
        write_bytes(self.artifact.path / f"{name.lower()}.md", text.encode())
        charts = [
            {"title": f"{RESULTS[result].title}, {MEASURES[measure]}", "svg": bars_svg(by_variant, "%")}
            for result in self.scored
            for measure in self.measures
            if (by_variant := {variant: values_of(scores, result, measure) for variant, scores in table.items()})
            and any(by_variant.values())
        ]
        columns, rows = table_cells(table, self.scored, self.measures)
        content = {
            "title": name, "dataset": self.dataset, "profile": self.profile, "seeds": self.seed_list(),
            "columns": columns, "rows": rows, "charts": charts,
            "pictures_title": self.pictures_title, "strips": self._strips(), "notes": self.findings(),
            "settings": [(variant.name, json.dumps(variant.settings)) for variant in self.variants],
        }  # fmt: skip
        write_bytes(self.artifact.path / REPORT, render_page(content, "comparison.html").encode())
        log.info("%s:\n%s", name, text)
        return len(table) * len(self.seed_list())

    def findings(self):
        without = [variant.name for variant in self.variants if variant not in self._shown]
        reason = "their data set is not that of the comparison: it has other images, sizes, tags or classes"
        found = [f"no pictures of {listed(without)}: {reason}"] if without else []
        groups = [variant.name for variant in self.variants if not METHODS[variant.method or self.method].named]
        return [*found, f"{listed(groups)}: {MATCHED_WITH_TRUTH}"] if groups else found

    @property
    def _shown(self) -> list[Variant]:
        """The variants with pictures: those that see the images of the comparison, so that they stand side by side."""
        own = self.required["dataset"].identity
        stages = {variant.name: self.required[shown_name(variant)] for variant in self.variants}
        return [v for v in self.variants if stages[v.name].required["dataset"].identity == own]

    def _csv(self, table: dict[str, list[dict]]) -> str:
        """One line per variant, seed and result, in percent."""
        rows = []
        for variant in self.variants:
            for seed, scores in zip(self.seed_list(), table[variant.name], strict=True):
                for result in self.scored:
                    score = scores[result] or {}
                    values = [score.get(measure) for measure in (*MEASURES, "threshold")]
                    rows.append([*variant.values.values(), seed, result, *values])
        return csv_text([*self.variants[0].values, "seed", "result", *MEASURES, "threshold"], rows)

    def _strips(self) -> list[dict]:
        """Pictures of some images with the first seed: the variants side by side."""
        from pipeline.report.colours import data_uri
        from pipeline.report.strips import named

        dataset, inputs = self.required["dataset"].read_with_truth(), self.inputs
        samples = dataset.split(self.shown_split)
        stores = {variant.name: inputs[shown_name(variant)] for variant in self._shown}
        first = {v.name: self.required[scores_name(v, self.seed_list()[0])].read() for v in self._shown}
        strips = []
        for index in spread(samples, self.images if stores else 0):
            sample = samples[index]
            stored = {
                name: named(store.image(index, sample.size), first[name].get("predictions"), dataset.class_names)
                for name, store in stores.items()
            }
            panels = self.strip_of(dataset, sample, stored)
            pictures = [(title, data_uri(picture)) for title, picture in panels.items()]
            strips.append({"image_id": sample.image_id, "panels": pictures})
        return strips


def scores_name(variant: Variant, seed: int) -> str:
    """Name of the scores of a variant with a seed among the inputs of a comparison."""
    return f"scores of {variant.name}, seed {seed}"


def shown_name(variant: Variant) -> str:
    """Name of the stage that is shown of a variant among the inputs of a comparison."""
    return f"pictures of {variant.name}"


def chosen(parameter: str, text: str, known: Mapping) -> dict:
    """The entries of a registry whose names are in a comma-separated list; SettingError for an unknown name."""
    names = text.split(",")
    for name in names:
        if name not in known:
            raise SettingError(f"{parameter} '{name}' is unknown; use {', '.join(known)}")
    return {name: known[name] for name in names}


def values_of(scores: list[dict], result: str, measure: str) -> list[float]:
    """One value per seed, in percent; values without ground truth are left out."""
    return [score[result][measure] for score in scores if score[result] and score[result][measure] is not None]


def table_cells(table: dict[str, list[dict]], results, measures) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Titles of the columns, and rows (variant, cells): mean ± standard deviation over the seeds, in percent."""
    titles = [MEASURES[measure] for measure in measures]
    columns = [f"{RESULTS[result].title} {title}" for result in results for title in titles]

    def cell(values: list[float]) -> str:
        if not values:
            return "–"
        return f"{np.mean(values):.1f}" + (f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else "")

    rows = [
        (name, [cell(values_of(scores, result, measure)) for result in results for measure in measures])
        for name, scores in table.items()
    ]
    return columns, rows


def markdown_table(table: dict[str, list[dict]], results, measures) -> str:
    """The table as Markdown: mean ± standard deviation over the seeds, in percent."""
    columns, rows = table_cells(table, results, measures)
    return markdown_text(["variant"], columns, ([name, *cells] for name, cells in rows))
