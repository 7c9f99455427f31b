"""``depthseed run``: the luigi command of this project."""

from __future__ import annotations

import argparse
import sys

from luigi.retcodes import run_with_retcodes

import pipeline
from pipeline.command_line import check_input

HELP = "run a stage and what it needs: the same as luigi --module pipeline STAGE ..."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All its arguments are luigi's. The command line hands them on before this parser sees them."""
    parser.usage = "depthseed run STAGE [flags of luigi]; depthseed run STAGE --help lists them"


def run(options: argparse.Namespace, flags: list[str]) -> int:
    """Run luigi. Returns its exit code."""
    sys.argv = ["luigi", "--module", "pipeline", *flags]  # error lines and locks name the command
    check_input(sys.argv[1:], pipeline.__all__)
    try:
        run_with_retcodes(sys.argv[1:])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    return 0
