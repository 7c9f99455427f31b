"""``depthseed verify``: read every byte."""

from __future__ import annotations

import argparse
from pathlib import Path

from data.errors import StoreError
from pipeline.asked import task_of
from pipeline.inspection import verify_artifacts

HELP = "read every byte of all artifacts of a data set, remove what is damaged; exit code 1 if something is"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none of its own."""


def run(options: argparse.Namespace, flags: list[str]) -> int:
    """Print what is damaged; StoreError if there is nothing to read."""
    report = task_of("WriteReport", flags)
    folder = Path(report.artifacts) / report.dataset
    count, damaged = verify_artifacts(folder)
    if not count:
        raise StoreError(f"{folder}: there are no complete artifacts in it; check --artifacts and --dataset")
    print("\n".join(damaged) if damaged else f"no artifact is damaged; {count} were read")
    return 1 if damaged else 0
