"""``depthseed doctor``: whether this machine can run the pipeline."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.asked import task_of
from pipeline.machine import PROBLEM, findings

HELP = "check Python, torch, GPU, disk, locks, luigi.cfg, data sets and extras; exit code 1 if something will not work"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none of its own."""


def run(options: argparse.Namespace, flags: list[str]) -> int:
    """Print one line for each check."""
    works = True
    for finding in findings(Path(task_of("RunAll", flags, alone=True).artifacts)):
        print(f"{finding.level:9}{finding.about:18}{finding.text}", flush=True)
        works &= finding.level != PROBLEM
    return 0 if works else 1
