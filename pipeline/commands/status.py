"""``depthseed status``: the state of every stage."""

from __future__ import annotations

import argparse

from pipeline.asked import task_of
from pipeline.inspection import status_table

HELP = "every stage: done, stale, partial, missing or damaged; identity, size, time, images/s"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none of its own."""


def run(options: argparse.Namespace, flags: list[str]) -> int:
    """Print the table."""
    print(status_table(task_of("WriteReport", flags)))
    return 0
