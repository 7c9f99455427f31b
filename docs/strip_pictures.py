"""Draws pictures for these pages from the artifacts of a finished RunAll: what its report shows, as one PNG.

    python docs/strip_pictures.py --split train --output docs/superpixels.png --dataset demo [RunAll's other flags]

One row per image. Prints the titles of the columns. Use it only for data that may be shown, such as the demo's own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from data.sample import EVALUATION, TRAIN, spread
from pipeline import WriteReport
from pipeline.asked import task_of
from pipeline.report.colours import save_sheet
from pipeline.report.strips import evaluation_strip, training_strip
from tasks.runtime.shards import ImageInputs, open_stores

STRIPS = {TRAIN: training_strip, EVALUATION: evaluation_strip}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=STRIPS, default=TRAIN)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--output", type=Path, required=True)
    options, flags = parser.parse_known_args()
    report: WriteReport = task_of("WriteReport", flags)
    dataset, stores = report.required["dataset"].read_with_truth(), open_stores(report.inputs)
    samples = dataset.split(options.split)
    strips = [
        STRIPS[options.split](
            dataset, samples[index], ImageInputs(stores, index, samples[index].size, dataset.num_classes)
        )
        for index in spread(samples, options.images)
    ]
    titles = list(strips[0])
    save_sheet(options.output, [strip[title] for strip in strips for title in titles], columns=len(titles))
    print(f"{options.output}: {', '.join(titles)}")


if __name__ == "__main__":
    main()
