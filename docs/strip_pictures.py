"""Draws pictures for these pages from the artifacts of a finished RunAll: what its report shows, as one PNG.

    python docs/strip_pictures.py --split train --output docs/superpixels.png --dataset demo [RunAll's other flags]

A row an image; prints the titles of the columns. Only of data that may be shown: the demo's own, for one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from data.sample import EVALUATION, TRAIN, spread
from pipeline import IndexDataset, WriteReport
from pipeline.__main__ import task_of
from pipeline.report.colours import save_sheet
from pipeline.report.strips import evaluation_strip, training_strip

STRIPS = {TRAIN: training_strip, EVALUATION: evaluation_strip}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=STRIPS, default=TRAIN)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--output", type=Path, required=True)
    options, flags = parser.parse_known_args()
    report: WriteReport = task_of("WriteReport", flags)
    index = report.upstream(IndexDataset).read_with_truth()
    stores = {stage.label: stage.artifact for stage in report.stages_above()}
    samples = index.split(options.split)
    strips = [
        STRIPS[options.split](index, samples[number], number, stores) for number in spread(samples, options.images)
    ]
    titles = list(strips[0])
    save_sheet(options.output, [strip[title] for strip in strips for title in titles], columns=len(titles))
    print(f"{options.output}: {', '.join(titles)}")


if __name__ == "__main__":
    main()
