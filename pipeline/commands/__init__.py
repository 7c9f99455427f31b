"""The commands of ``depthseed``, one file each: HELP, `add_arguments` and `run`."""

from __future__ import annotations

from types import ModuleType

from pipeline.commands import (
    clean,
    completion,
    config,
    dag,
    doctor,
    force,
    plan,
    run,
    scores,
    show,
    status,
    verify,
    view,
)

COMMANDS: dict[str, ModuleType] = {
    "run": run,
    "plan": plan,
    "status": status,
    "show": show,
    "scores": scores,
    "view": view,
    "dag": dag,
    "verify": verify,
    "force": force,
    "clean": clean,
    "doctor": doctor,
    "config": config,
    "completion": completion,
}
"""Name of a command -> its file.

Each has ``HELP``, one line; ``add_arguments(parser)`` for its own arguments; and ``run(options, flags) -> int``, which
gets these arguments and the flags that are left to luigi, and returns the exit code.
"""
