"""``depthseed completion SHELL``: a script that completes commands, stages and flags with the tab key."""

from __future__ import annotations

import argparse

import luigi

import pipeline
from data.errors import SettingError
from data.readers import DATASETS
from pipeline.command_line import stage_names
from tasks.runtime.luigi_seam import choices_of
from tasks.runtime.stage import COMMON, StageTask

HELP = "print a script with which the tab key completes commands, stages and flags: docs/command-line.md"

SHELLS = ("bash", "zsh", "tcsh")

WITH_STAGE = ("run", "plan", "show", "dag", "force")
"""Commands that take the name of a stage, which argparse leaves among luigi's flags."""

NO_FLAGS = ("config", "completion")
"""Commands that take no flag of luigi."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The shell."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that reads the script")


def run(options: argparse.Namespace, flags: list[str]) -> int:
    """Print the script."""
    try:
        import shtab
    except ImportError as error:
        raise SettingError("completion needs the package shtab; run: pip install 'depthseed[completion]'") from error
    for name, parser in options.parsers.items():
        if name not in NO_FLAGS:
            _add_flags(parser)
        _name_stages(name, parser)
    print(shtab.complete(options.parser, shell=options.shell))
    return 0


def _add_flags(parser: argparse.ArgumentParser) -> None:
    """Add luigi's flags, which the command line itself hands on unread: those of all stages, and of each stage."""
    for name, parameter in StageTask.get_params():
        parser.add_argument(_flag(name), choices=_values(name, parameter), help=_short(parameter.description))
    for stage in pipeline.__all__:
        shared = COMMON if stage in stage_names([stage]) else ()
        for name, parameter in getattr(pipeline, stage).get_params():
            if name not in shared:
                parser.add_argument(_flag(f"{stage}_{name}"), choices=_values(name, parameter), help="")


def _name_stages(command: str, parser: argparse.ArgumentParser) -> None:
    """Name the stages where a command takes one."""
    if command in WITH_STAGE:
        parser.add_argument("stage", choices=pipeline.__all__ if command == "run" else stage_names(pipeline.__all__))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _values(name: str, parameter: luigi.Parameter) -> list[str] | None:
    if name == "dataset":
        return sorted(DATASETS)
    if isinstance(parameter, luigi.BoolParameter):
        return ["true", "false"]
    return sorted(choices_of(parameter)) or None


def _short(description: str | None) -> str:
    """The first words of a description; a percent sign would be a format."""
    return (description or "").partition(" Choices:")[0].partition(",")[0].replace("%", "%%")
