"""``depthseed force STAGE``: compute a stage again."""

from __future__ import annotations

import argparse

from data.errors import SettingError, StoreError
from pipeline.asked import stage_and_flags, task_of
from pipeline.removal import consumers, on_disk, remove
from tasks.runtime.dag import stages
from tasks.runtime.lock import is_locked
from tasks.runtime.stage import StageTask

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
    """The stages of a whole run that have this label or are of this kind; else the stage of this name."""
    found = stages(task_of("RunAll", flags))
    called = [stage for stage in found if stage.output() and name in (stage.label, type(stage).__name__)]
    if called:
        return called
    task = task_of(name, flags)
    if not task.output():
        raise SettingError(f"{name} writes nothing; name a stage that status lists")
    return [task]
