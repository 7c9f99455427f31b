"""``depthseed clean --stale``: artifacts to which no present parameters lead."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from data.errors import SettingError
from pipeline.asked import task_of
from pipeline.reachable import reachable
from pipeline.removal import consumers, in_use, on_disk, remove, sources
from tasks.index_dataset import IndexDataset

HELP = "show artifacts that no present parameters lead to, with their sizes; --yes deletes them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is deleted, and whether."""
    parser.add_argument(
        "--stale",
        action="store_true",
        help="artifacts to which luigi.cfg, these flags and the defaults do not lead, with any method and split",
    )
    parser.add_argument("--yes", action="store_true", help="delete what is shown")


def run(options: argparse.Namespace, flags: list[str]) -> int:
    """Show what is stale, or delete it."""
    if not options.stale:
        raise SettingError("clean needs --stale: artifacts to which no present parameters lead")
    task = task_of("IndexDataset", flags)
    folder = Path(task.artifacts) / task.dataset
    found, present = on_disk(folder), reachable(flags)
    used = in_use(folder, found)
    stale = [one for one in found if one.identity not in present.identities | used]
    unknown = [one for one in stale if one.stage in present.unplanned]
    needed = sources({one.identity for one in unknown}, found)
    chosen = [one for one in stale if one.identity not in needed]
    for stage, count in Counter(one.stage for one in unknown).items():
        print(
            f"kept: {count} artifacts of {stage}, which cannot be planned now with {present.unplanned[stage]}",
            file=sys.stderr,
        )
    for one in stale:
        if one.identity in needed and one not in unknown:
            print(f"kept: {one.path}, from which a kept artifact is made", file=sys.stderr)
    for one in found:
        if one.identity in used and one.identity not in present.identities:
            print(f"kept: {one.path}, which a running command writes or reads", file=sys.stderr)
    elsewhere = [one.identity for one in chosen if one.stage == IndexDataset.__name__]
    if elsewhere:
        print(
            f"note: {len(consumers(elsewhere, chosen))} of these artifacts are made from IndexDataset "
            f"{', '.join(elsewhere)}, to which these flags do not lead; "
            f"results of another --data-root lie in {folder}, too",
            file=sys.stderr,
        )
    sizes = {one: one.artifact.size()[1] for one in chosen}
    total = f"{sum(sizes.values()) / 1e6:.1f} MB in {len(chosen)} artifacts"
    if not options.yes:
        for one in chosen:
            print(one)
        hint = "; add --yes to delete them" if chosen else ""
        print(f"{total}, of {len(found)} in {folder}{hint}")
        return 0
    for one in remove(folder, chosen):
        print(f"deleted {one.path}")
    print(f"deleted {total}")
    return 0
