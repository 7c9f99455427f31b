"""``python -m pipeline status | show | scores | verify | view | config``: inspect the artifacts. Nothing is computed.

All commands except config take the same flags as the luigi command: ``--dataset --data-root --artifacts --profile
--seed`` and those of any stage (``--GenerateSeeds-alpha 0.6``). They look at the artifacts of such a run.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import luigi.cmdline_parser

import pipeline
import pipeline.dag
from data.errors import DepthseedError, SettingError
from pipeline.command_line import check_command_line, stage_names
from pipeline.configuration import config_text
from pipeline.inspection import artifact_report, contact_sheet, status_table, verify_artifacts
from pipeline.similarity_pictures import similarity_sheet
from pipeline.surroundings import user_line
from tasks.evaluate_masks import EvaluateMasks
from tasks.runtime.parameters import nearest


def build_parser() -> argparse.ArgumentParser:
    """The parser of the commands and their own flags; flags of stages are left to luigi."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("status", help="every stage: done, stale, partial or missing; identity, size, time, images/s")
    show = commands.add_parser("show", help="parameters, shapes, statistics and a picture of one artifact")
    show.add_argument("artifact", help="path of an artifact, or name of a stage")
    show.add_argument("--image", help="image id; default: some images of the whole artifact")
    show.add_argument("--output", type=Path, help="PNG file; default: <stage>-<identity>.png in this folder")
    show.add_argument(
        "--similarities",
        action="store_true",
        help="of ExtractKeys: how many patches of an object are similar to each of its patches, and how many are not",
    )
    scores = commands.add_parser("scores", help="mIoU and IoU per class of every result, in percent")
    scores.add_argument("--json", action="store_true", help="print one JSON object")
    commands.add_parser("verify", help="read every byte of all artifacts of a data set; exit code 1 if one is damaged")
    view = commands.add_parser("view", help="a page in the browser over the artifacts; needs the extra 'view'")
    view.add_argument("--host", default="127.0.0.1", help="address to listen at; default: this machine alone")
    view.add_argument("--port", type=int, default=8050, help="port, 0 = a free one; default: 8050")
    commands.add_parser("config", help="print the text of luigi.cfg: all parameters of all stages with their defaults")
    return parser


def task_of(stage: str, flags: list[str], build: Callable[[Any], object] = pipeline.dag.stages) -> Any:
    """The task that ``luigi --module pipeline STAGE flags`` would run; SettingError for a wrong stage or flag.

    `build` makes the stages that are asked for later.
    """
    stages = stage_names(pipeline.__all__)
    if stage not in stages:
        raise SettingError(f"'{stage}' is neither a path nor a stage{nearest(stage, stages)}")
    check_command_line([stage, *flags], pipeline.__all__)
    with luigi.cmdline_parser.CmdlineParser.global_instance(["--module", "pipeline", stage, *flags]) as parser:
        task = parser.get_task_obj()
        build(task)  # all stages now: their flags hold only while this parser is active
        return task


def print_scores(task: EvaluateMasks, as_json: bool) -> None:
    """Print the scores of all results in percent, as a table or as JSON; DepthseedError if there are none yet."""
    if not task.complete():
        raise DepthseedError(
            f"there are no scores yet for this data set and these parameters; run: luigi --module pipeline "
            f"EvaluateMasks --dataset {task.dataset}"
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
"""Key of a score -> title of its row."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    options, flags = build_parser().parse_known_args(arguments)
    try:
        if options.command == "status":
            print(status_table(task_of("WriteReport", flags)))
        elif options.command == "config":
            print(config_text(), end="")
        elif options.command == "scores":
            print_scores(task_of("EvaluateMasks", flags), options.json)
        elif options.command == "view":
            from pipeline.view.run import ViewedRun
            from pipeline.view.server import serve

            runs: list[ViewedRun] = []
            task_of("WriteReport", flags, lambda report: runs.append(ViewedRun(report)))
            serve(runs[0], options.host, options.port)
        elif options.command == "verify":
            report = task_of("WriteReport", flags)
            damaged = verify_artifacts(Path(report.artifacts) / report.dataset)
            print("\n".join(damaged) if damaged else "no artifact is damaged")
            return 1 if damaged else 0
        else:
            path = Path(options.artifact)
            if options.similarities:
                keys = task_of(options.artifact, flags)
                output = options.output or Path(f"similarities-{keys.identity}.png")
                similarity_sheet(keys, options.image, output)
                print(f"picture: {output}")
                return 0
            if not path.exists():
                path = task_of(options.artifact, flags).artifact.path
            print(artifact_report(path, options.image))
            output = options.output or Path(f"{path.parent.name}-{path.stem}.png")
            if contact_sheet(path, options.image, output):
                print(f"picture: {output}")
    except Exception as error:
        line = user_line("".join(traceback.format_exception(error)), sys.argv if arguments is None else arguments)
        if line is None:
            raise  # a bug
        print(f"ERROR: {line}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # no traceback when `head` closes the pipe
    sys.exit(main())
