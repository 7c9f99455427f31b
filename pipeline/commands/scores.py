"""``depthseed scores``: the scores of every result."""

from __future__ import annotations

import argparse
import json

from data.errors import StoreError
from pipeline.asked import luigi_command, task_of
from tasks.evaluate_masks import EvaluateMasks
from tasks.runtime.dag import state

HELP = "mIoU and IoU per class of every result, in percent"

SCORE_ROWS = {
    "miou": "mIoU",
    "boundary_f": "boundary F, 3 px",
    "boundary_recall": "boundary recall, 2 px",
    "pixel_accuracy": "pixel accuracy",
    "miou_of_labelled": "mIoU of labelled pixels",
    "labelled": "labelled pixels",
    "threshold": "threshold",
}
"""Key of a score -> title of its row."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The form of the output."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace, flags: list[str]) -> int:
    """Print the scores in percent, as a table or as JSON; StoreError if there are none that are current."""
    task: EvaluateMasks = task_of("EvaluateMasks", flags)
    if not task.complete():
        raise StoreError(
            f"the scores of this data set with these parameters are {state(task)}; run: "
            f"{luigi_command('EvaluateMasks', flags)}"
        )
    scores = task.read()
    if options.json:
        shown = {
            name: score and {key: value for key, value in score.items() if key != "confusion"}
            for name, score in scores.items()
        }
        print(json.dumps(shown))
        return 0
    classes = list(dict.fromkeys(name for score in scores.values() if score for name in score["per_class"]))
    rows = {title: [score and score.get(key) for score in scores.values()] for key, title in SCORE_ROWS.items()}
    rows |= {name: [score and score["per_class"].get(name) for score in scores.values()] for name in classes}
    print(f"{'':24}" + "".join(f"{name:>16}" for name in scores))
    for title, values in rows.items():
        cells = ["–" if value is None else f"{value:.2f}" for value in values]
        print(f"{title:24}" + "".join(f"{cell:>16}" for cell in cells))
    return 0
