"""Mistakes in the command line and in luigi.cfg that luigi would pass over without a word."""

from __future__ import annotations

import configparser
import os
from collections.abc import Collection, Sequence
from typing import Any

import luigi.configuration

from data.errors import SettingError
from pipeline.settings_file import check_sections
from tasks.runtime.data_place import OPTION, SECTION
from tasks.runtime.luigi_seam import registered_tasks
from tasks.runtime.parameters import nearest
from tasks.runtime.slurm_settings import check_slurm_sections
from tasks.runtime.stage import COMMON, StageTask

HELP = frozenset({"-h", "--help", "--help-all"})
"""Flags with which luigi runs nothing."""


def check_input(arguments: Sequence[str], names: Collection[str]) -> None:
    """Check luigi.cfg, and the arguments if they run a task of this project.

    Parameters
    ----------
    arguments : sequence of str
        Arguments of this process, without the name of the program.
    names : collection of str
        Names of the tasks that can be run.

    Raises
    ------
    SettingError
        At the first mistake.
    """
    known: dict[str, Any] = dict(registered_tasks())
    config = luigi.configuration.get_config()
    if isinstance(config, configparser.ConfigParser):  # not TOML
        options = {name: [option for option, _ in known[name].get_params()] for name in names}
        check_sections(config, {**options, SECTION: [OPTION]})
        check_slurm_sections(config)
    if is_ours(arguments):
        check_command_line(arguments, names)


def stage_names(names: Collection[str]) -> list[str]:
    """Those of the names of tasks that are stages."""
    known = registered_tasks()
    return [name for name in names if issubclass(known[name], StageTask)]


def is_ours(arguments: Sequence[str]) -> bool:
    """True for the arguments of a process that runs a task of this project: ``--module pipeline`` is among them."""
    return "--module=pipeline" in arguments or ("--module", "pipeline") in zip(arguments, arguments[1:])


def check_command_line(arguments: Sequence[str], names: Collection[str]) -> None:
    """Refuse an unknown task, an empty value, a missing log configuration, and a common parameter for a single stage.

    luigi ignores an empty value. A stage passes the common parameters on, so a value for another stage has no effect.

    Parameters
    ----------
    arguments : sequence of str
        Arguments of luigi, without the name of the program.
    names : collection of str
        Names of the tasks that can be run.

    Raises
    ------
    SettingError
        At the first such argument.
    """
    if HELP.intersection(arguments):
        return
    stages = stage_names(names)
    task = next((argument for argument in arguments if argument in names), None)
    if task is None:
        name = _task_name(arguments)
        what = f"there is no task '{name}'" if name else "no task is named"
        raise SettingError(f"{what}{nearest(name, names)}")
    without_effect = {f"--{stage}-{_dashed(name)}": _dashed(name) for stage in stages for name in COMMON}
    for argument, following in zip(arguments, [*arguments[1:], None]):
        flag, equals, value = argument.partition("=")
        if flag.startswith("--") and (not value if equals else following == ""):
            raise SettingError(f"{flag} is empty; give it a value or leave it out")
        if flag == "--logging-conf-file" and not os.path.isfile(path := value if equals else following or ""):
            raise SettingError(f"{flag}: {path} is not a file; name a file in the format of Python's logging")
        if task in stages and flag in without_effect and not flag.startswith(f"--{task}-"):
            raise SettingError(
                f"{flag} has no effect, since all stages have the same value; write --{without_effect[flag]}"
            )


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _task_name(arguments: Sequence[str]) -> str:
    """The argument that stands where a task should: the first that is neither a flag nor its value."""
    for before, argument in zip(["", *arguments], arguments):
        if not argument.startswith("-") and not (before.startswith("--") and "=" not in before):
            return argument
    return ""
