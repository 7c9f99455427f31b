"""``depthseed force STAGE``: compute a stage again."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import pipeline
from data.errors import SettingError, StoreError
from pipeline.asked import parsed, stage_and_flags, task_of
from pipeline.command_line import stage_names
from pipeline.removal import consumers, on_disk, remove
from pipeline.run_all import RunAll
from tasks.runtime.dag import stages
from tasks.runtime.lock import is_locked
from tasks.runtime.stage import COMMON, StageTask

HELP = "let the next run compute a stage again: show its artifact of this run, and remove it with --yes"

SHOWN = 20
"""Consumers that are named; the others are counted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whether it is removed."""
    parser.usage = "depthseed force STAGE [--yes] [flags of luigi]; PredictMasks is both of its splits"
    parser.add_argument("--yes", action="store_true", help="remove what is shown")


def run(options: argparse.Namespace, flags: list[str]) -> int:
    """Show the artifact and who reads it, or remove it."""
    name, flags = stage_and_flags(flags, "")
    if not name:
        raise SettingError("force needs the name of a stage, as status lists them")
    chosen = _stages_called(name, flags)
    folder = chosen[0].artifact.path.parent.parent
    found = on_disk(folder)
    identities = {stage.identity for stage in chosen}
    there = [one for one in found if one.identity in identities]
    if not there:
        print(f"{name}: there is no artifact of this run, so the next run computes it")
        return 0
    readers = consumers(identities, found)
    for one in there:
        print(one)
    for one in readers[:SHOWN]:
        print(f"  is read for {one.stage} {one.identity}")
    if len(readers) > SHOWN:
        print(f"  and for {len(readers) - SHOWN} more")
    if not options.yes:
        more = "; what it is read for is then computed again only if the new bytes differ" if readers else ""
        print(f"add --yes to remove it{more}")
        return 0
    for one in readers:
        if is_locked(folder, one.lock):
            raise StoreError(f"a running command reads it for {one.stage} {one.identity}; wait until that has ended")
    for one in remove(folder, there):
        print(f"removed {one.path}")
    return 0


def _stages_called(name: str, flags: list[str]) -> list[StageTask]:
    """The stages of a whole run that have this label or are of this kind; else the stage of this name.

    The flags are those of the named stage, as for `plan`: ``--split`` and others of its own choose one artifact.
    """
    if name not in stage_names(pipeline.__all__):
        called = _called(name, stages(task_of("RunAll", flags)))
        return called or [task_of(name, flags)]  # the latter says that there is no such stage
    with parsed(name, flags) as task:
        stages(task)  # as of `task_of`
        if not task.output():
            raise SettingError(f"{name} writes nothing; name a stage that status lists")
        if any(flag.partition("=")[0] == "--split" for flag in flags):
            return [task]
        run_all = RunAll(**{common: getattr(task, common) for common in COMMON})
        called = _called(name, stages(run_all))
        return called if task.identity in {stage.identity for stage in called} else [task]


def _called(name: str, found: Iterable[StageTask]) -> list[StageTask]:
    return [stage for stage in found if stage.output() and name in (stage.label, type(stage).__name__)]
