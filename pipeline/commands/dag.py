"""``depthseed dag``: a picture of the stages."""

from __future__ import annotations

import argparse
from pathlib import Path

from data.errors import StoreError
from pipeline.asked import stage_and_flags, task_of
from pipeline.dag_picture import Node, dag_svg
from tasks.runtime.dag import stages, state
from tasks.runtime.progress import duration
from tasks.runtime.stage import StageTask

HELP = "draw the stages of a run as SVG, coloured by state: done, stale, partial, missing, damaged"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file."""
    parser.usage = "depthseed dag [STAGE] [--output FILE] [flags of luigi]; without STAGE: RunAll"
    parser.add_argument("--output", type=Path, default=Path("dag.svg"), help="SVG file; default: dag.svg")


def run(options: argparse.Namespace, flags: list[str]) -> int:
    """Write the picture."""
    task = task_of(*stage_and_flags(flags, "RunAll"))
    shown = [stage for stage in stages(task) if stage.output()]
    nodes = {stage.identity: _node(stage) for stage in shown}
    inputs = {
        stage.identity: list(dict.fromkeys(above.identity for above in stage.required.values())) for stage in shown
    }
    title = f"{task.dataset}, profile {task.profile}, method {task.method}"
    try:
        options.output.write_text(dag_svg(nodes, inputs, title), "utf-8")
    except OSError as error:
        raise StoreError(f"{options.output}: cannot be written ({error.strerror}); name another --output") from error
    print(f"picture: {options.output}")
    return 0


def _node(stage: StageTask) -> Node:
    record = stage.record() if stage.artifact.path.exists() else {}
    return Node(stage.label, state(stage), duration(record["seconds"]) if record else "")
