"""``depthseed plan``: a dry run."""

from __future__ import annotations

import argparse

from pipeline.asked import stage_and_flags, task_of
from pipeline.planning import plan, total_seconds
from pipeline.profile_line import profile_line
from tasks.runtime.progress import duration

HELP = "what a run would compute, in order, why, and how long by the records of earlier runs; nothing is computed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none of its own."""
    parser.usage = "depthseed plan [STAGE] [flags of luigi]; without STAGE: RunAll"


def run(options: argparse.Namespace, flags: list[str]) -> int:
    """Print one line for each stage that would run."""
    task = task_of(*stage_and_flags(flags, "RunAll"))
    print(profile_line(task))
    steps, done = plan(task)
    if steps:
        print(f"{'stage':26}{'state':16}{'about':>10}  why")
    for step in steps:
        about = "–" if step.seconds is None else duration(step.seconds)
        print(f"{step.label:26}{step.state:16}{about:>10}  {step.why}")
    seconds, unknown = total_seconds(steps)
    time = f"about {duration(seconds)}" if unknown < len(steps) else "nobody knows how long"
    more = f", and {unknown} that no record knows" if 0 < unknown < len(steps) else ""
    perhaps = sum(step.state == "stale" for step in steps)
    only = f" ({perhaps} of them only if their inputs come out different)" if perhaps else ""
    summary = f"{len(steps)} stages would run{only}, {time}{more}; {done} are done"
    print(summary if steps else f"all {done} stages are done")
    return 0
