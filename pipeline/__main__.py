"""The command ``depthseed``, which is also ``python -m pipeline``: run the pipeline, and look at what it has written.

All commands except config and completion take the flags of the luigi command, too: ``--dataset --data-root --artifacts
--profile --seed`` and those of any stage (``--GenerateSeeds-alpha 0.6``). They look at the artifacts of such a run.
Only run computes anything.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import traceback
from typing import NoReturn

from data.errors import DamagedArtifactError, StoreError
from pipeline.asked import USAGE
from pipeline.commands import COMMANDS
from pipeline.commands.completion import NO_FLAGS
from pipeline.surroundings import user_line


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        print(f"ERROR: {message}; {self.prog} --help says what there is", file=sys.stderr)
        sys.exit(USAGE)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the commands and their own flags; flags of stages are left to luigi."""
    parser = OneLineParser(
        prog="depthseed", description=__doc__, formatter_class=argparse.RawTextHelpFormatter, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        # an abbreviation could stand for a flag of a stage
        command.add_arguments(
            commands.add_parser(name, help=command.HELP, description=command.HELP, allow_abbrev=False)
        )
    parser.set_defaults(parser=parser, parsers=commands.choices)  # for completion
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["run"] and given[1:] not in ([], ["-h"], ["--help"]):
        options, flags = argparse.Namespace(command="run"), given[1:]  # argparse would take its part of luigi's flags
    else:
        parser = build_parser()
        options, flags = parser.parse_known_args(given)
        if flags and options.command in NO_FLAGS:
            parser.error(f"{options.command} does not take {shlex.join(flags)}")
    try:
        return COMMANDS[options.command].run(options, flags)
    except DamagedArtifactError as error:  # it says that the same command computes it again: not one that only looks
        told = StoreError(f"{error.what}; depthseed verify removes it, and the next run computes it again")
        print(f"ERROR: {told}", file=sys.stderr)
        return 1
    except Exception as error:
        line = user_line("".join(traceback.format_exception(error)), given)
        if line is None:
            raise  # a bug
        print(f"ERROR: {line}", file=sys.stderr)
        return 1


def script() -> None:
    """The console script."""
    if sys.argv[1:2] != ["run"]:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # no traceback when `head` closes the pipe
    sys.exit(main())


if __name__ == "__main__":
    script()
