"""All that is used of luigi's private names, in one place: setup.cfg pins luigi below the next minor version."""

from __future__ import annotations

import copy
from typing import Any

import luigi
from luigi.task_register import Register


def is_set(parameter: luigi.Parameter[Any], family: str, name: str) -> bool:
    """True if the command line or luigi.cfg gives the parameter: what luigi finds when the default is removed."""
    probe = copy.copy(parameter)
    probe._default = luigi.parameter._no_value
    return probe.has_task_value(family, name)


def add_parameter(task: type[luigi.Task], name: str, parameter: luigi.Parameter[Any]) -> None:
    """Give a task one more parameter after its class was made."""
    setattr(task, name, parameter)
    parameter.__set_name__(task, name)


def has_default(parameter: luigi.Parameter[Any]) -> bool:
    """False for a parameter that the user must give."""
    return parameter._default is not luigi.parameter._no_value


def default_value(parameter: luigi.Parameter[Any]) -> object:
    """The default as a task sees it."""
    return parameter.normalize(parameter._default)


def default_text(parameter: luigi.Parameter[Any]) -> str:
    """The default as luigi.cfg spells it."""
    return parameter.serialize(parameter._default)


def choices_of(parameter: luigi.Parameter[Any]) -> tuple[str, ...]:
    """The legal values of a choice; empty for other parameters."""
    return tuple(str(choice) for choice in getattr(parameter, "_choices", ()) or ())


def registered_tasks() -> dict[str, type]:
    """The task classes that luigi knows by name."""
    found = {name: Register.get_task_cls(name) for name in Register.task_names()}
    return {name: task for name, task in found.items() if isinstance(task, type)}


def forget_instances() -> None:
    """Empty luigi's cache of task instances, so that files and settings are read again."""
    Register.clear_instance_cache()
