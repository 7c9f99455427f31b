"""``python -m pipeline status | show | scores | verify | config``: look into the cached stores; nothing is computed.

All commands but the last take the flags of the luigi command, ``--dataset --data-root --artifacts --profile --seed``
and those of any stage (``--GenerateSeeds-alpha 0.6``), and look at the artifacts that it would use.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

import luigi.cmdline_parser

import pipeline
import pipeline.dag
from data.errors import DepthseedError
from pipeline.configuration import config_text
from pipeline.inspection import artifact_report, contact_sheet, status_table, verify_artifacts
from tasks.evaluate_masks import EvaluateMasks


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("status", help="every stage: done, partial or missing; identity, size, seconds, images/s")
    show = commands.add_parser("show", help="parameters, shapes, statistics and a picture of one artifact")
    show.add_argument("artifact", help="path of an artifact, or the name of a stage")
    show.add_argument("--image", help="image id; default: the first images")
    show.add_argument("--output", type=Path, help="PNG file; default: <stage>-<identity>.png here")
    scores = commands.add_parser("scores", help="mIoU and IoU by class of every result")
    scores.add_argument("--json", action="store_true", help="one JSON object on stdout, percent")
    commands.add_parser("verify", help="read every byte of every artifact; exit 1 if one is damaged")
    commands.add_parser("config", help="the text of luigi.cfg: every parameter of every stage with its default")
    return parser


def task_of(stage: str, flags: list[str]) -> Any:
    """The task that ``luigi --module pipeline STAGE flags`` would run."""
    if stage not in pipeline.__all__:
        raise DepthseedError(
            f"'{stage}' is neither a path nor a stage; there are the stages {', '.join(pipeline.__all__)}"
        )
    with luigi.cmdline_parser.CmdlineParser.global_instance(["--module", "pipeline", stage, *flags]) as parser:
        task = parser.get_task_obj()
        pipeline.dag.stages(task)  # flags of stages hold while this parser does: build the whole chain now
        return task


def print_scores(task: EvaluateMasks, as_json: bool) -> None:
    if not task.complete():
        raise DepthseedError(
            f"no scores yet for this data set and these parameters; run: luigi --module pipeline EvaluateMasks "
            f"--dataset {task.dataset}"
        )
    scores = task.read()
    if as_json:
        shown = {
            name: score and {key: value for key, value in score.items() if key != "confusion"}
            for name, score in scores.items()
        }
        print(json.dumps(shown))
        return
    classes = list(dict.fromkeys(name for score in scores.values() if score for name in score["per_class"]))
    rows = {title: [score and score.get(key) for score in scores.values()] for key, title in SCORE_ROWS.items()}
    rows |= {name: [score and score["per_class"].get(name) for score in scores.values()] for name in classes}
    print(f"{'':24}" + "".join(f"{name:>16}" for name in scores))
    for title, values in rows.items():
        cells = ["–" if value is None else f"{value:.2f}" for value in values]
        print(f"{title:24}" + "".join(f"{cell:>16}" for cell in cells))


SCORE_ROWS = {
    "miou": "mIoU",
    "boundary_f": "boundary F, 3 px",
    "boundary_recall": "boundary recall, 2 px",
    "pixel_accuracy": "pixel accuracy",
    "miou_of_labelled": "mIoU of labelled pixels",
    "labelled": "labelled pixels",
    "threshold": "threshold",
}
"""Key of a score -> the title of its row."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    options, flags = build_parser().parse_known_args(arguments)
    try:
        if options.command == "status":
            print(status_table(task_of("WriteReport", flags)))
        elif options.command == "config":
            print(config_text(), end="")
        elif options.command == "scores":
            print_scores(task_of("EvaluateMasks", flags), options.json)
        elif options.command == "verify":
            damaged = verify_artifacts(task_of("WriteReport", flags))
            print("\n".join(damaged) if damaged else "every artifact is as it was written")
            return 1 if damaged else 0
        else:
            path = Path(options.artifact)
            if not path.exists():
                path = task_of(options.artifact, flags).artifact.path
            print(artifact_report(path, options.image))
            output = options.output or Path(f"{path.parent.name}-{path.stem}.png")
            if contact_sheet(path, options.image, output):
                print(f"picture: {output}")
    except DepthseedError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # end quietly where `head` has read enough
    sys.exit(main())
