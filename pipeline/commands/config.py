"""``depthseed config``: the text of luigi.cfg."""

from __future__ import annotations

import argparse

from pipeline.configuration import config_text

HELP = "print the text of luigi.cfg: all parameters of all stages with their defaults"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none of its own."""


def run(options: argparse.Namespace, flags: list[str]) -> int:
    """Print the text."""
    print(config_text(), end="")
    return 0
