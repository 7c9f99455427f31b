"""``depthseed verify``: read every byte."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.asked import task_of
from pipeline.inspection import verify_artifacts

HELP = "read every byte of all artifacts of a data set, remove what is damaged; exit code 1 if something is"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none of its own."""


def run(options: argparse.Namespace, flags: list[str]) -> int:
    """Print what is damaged."""
    report = task_of("WriteReport", flags)
    damaged = verify_artifacts(Path(report.artifacts) / report.dataset)
    print("\n".join(damaged) if damaged else "no artifact is damaged")
    return 1 if damaged else 0
