"""All uses of luigi's private names, in one file. For their sake, setup.cfg pins luigi below the next minor version."""

from __future__ import annotations

import copy
from typing import Any

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.task_register import Register


def is_set(parameter: luigi.Parameter[Any], family: str, name: str) -> bool:
    """True if the command line or luigi.cfg sets the parameter: luigi finds a value even without the default."""
    probe = copy.copy(parameter)
    probe._default = luigi.parameter._no_value
    return probe.has_task_value(family, name)


def add_parameter(task: type[luigi.Task], name: str, parameter: luigi.Parameter[Any]) -> None:
    """Add a parameter to a task after its class was defined."""
    setattr(task, name, parameter)
    parameter.__set_name__(task, name)


def has_default(parameter: luigi.Parameter[Any]) -> bool:
    """False for a parameter that the user must set."""
    return parameter._default is not luigi.parameter._no_value


def default_value(parameter: luigi.Parameter[Any]) -> object:
    """The default as a value of the task."""
    return parameter.normalize(parameter._default)


def default_text(parameter: luigi.Parameter[Any]) -> str:
    """The default as text in luigi.cfg."""
    return parameter.serialize(parameter._default)


def choices_of(parameter: luigi.Parameter[Any]) -> tuple[str, ...]:
    """The valid values of a parameter with choices; empty for other parameters."""
    return tuple(str(choice) for choice in getattr(parameter, "_choices", ()) or ())


def registered_tasks() -> dict[str, type]:
    """The task classes that luigi knows: name -> class.

    Raises
    ------
    luigi.task_register.TaskClassAmbigiousException
        If two classes have the same name.
    """
    known = sorted(Register._get_reg().items())
    # `Register.get_task_cls` reads all classes again, so it is asked only where it has an error to raise.
    return {name: task if isinstance(task, type) else Register.get_task_cls(name) for name, task in known}


def is_root(task: luigi.Task) -> bool:
    """True if the task is of the kind that the present command line of luigi asks for."""
    parser = CmdlineParser.get_instance()
    return parser is not None and parser.known_args.root_task == task.get_task_family()


def forget_instances() -> None:
    """Empty luigi's cache of task instances, so that files and settings are read again."""
    Register.clear_instance_cache()
