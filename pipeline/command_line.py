"""Mistakes in the command line that luigi would pass over without a word."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from data.errors import SettingError
from tasks.runtime.parameters import nearest

HELP = frozenset({"-h", "--help", "--help-all"})


def is_ours(arguments: Sequence[str]) -> bool:
    """True for the arguments of a process that runs a task of this project: ``--module pipeline`` is among them."""
    return "--module=pipeline" in arguments or ("--module", "pipeline") in zip(arguments, arguments[1:])


def check_command_line(
    arguments: Sequence[str], tasks: Collection[str], stages: Collection[str], common: Collection[str]
) -> None:
    """Refuse an unknown task, an empty value, and a common parameter for a single stage.

    luigi ignores an empty value. A stage passes the common parameters on, so a value for another stage has no effect.

    Parameters
    ----------
    arguments : sequence of str
        Arguments of luigi, without the name of the program.
    tasks, stages : collections of str
        Names of the tasks that can be run, and of those of them that are stages.
    common : collection of str
        Names of the parameters that a stage passes on.

    Raises
    ------
    SettingError
        At the first such argument.
    """
    if HELP.intersection(arguments):
        return
    task = next((argument for argument in arguments if argument in tasks), None)
    if task is None:
        name = _task_name(arguments)
        what = f"there is no task '{name}'" if name else "no task is named"
        raise SettingError(f"{what}{nearest(name, tasks)}")
    without_effect = {f"--{stage}-{_dashed(name)}": _dashed(name) for stage in stages for name in common}
    for argument, following in zip(arguments, [*arguments[1:], None]):
        flag, equals, value = argument.partition("=")
        if flag.startswith("--") and (not value if equals else following == ""):
            raise SettingError(f"{flag} is empty; give it a value or leave it out")
        if task in stages and flag in without_effect and not flag.startswith(f"--{task}-"):
            raise SettingError(f"{flag} has no effect, since all stages have the same value; write --{without_effect[flag]}")


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _task_name(arguments: Sequence[str]) -> str:
    """The argument that stands where a task should: the first that is neither a flag nor its value."""
    for before, argument in zip(["", *arguments], arguments):
        if not argument.startswith("-") and not (before.startswith("--") and "=" not in before):
            return argument
    return ""
