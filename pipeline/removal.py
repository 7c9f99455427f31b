"""Removing artifacts: which there are, who reads them, and whether a running command needs them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from data.errors import StoreError
from data.store.artifact import MARKER, Artifact
from data.store.sharded import ShardedStore
from pipeline.planning import read_made
from tasks.runtime.lock import artifact_lock, is_locked, is_trained, lock_name
from tasks.runtime.stage import STAGE_FILE

IDENTITY = re.compile("[0-9a-f]{12}")


class OnDisk(NamedTuple):
    """An artifact as it lies on disk, complete or not.

    Attributes
    ----------
    path : Path
    stage : str
        Name of the stage, which is also that of the folder.
    identity : str
    inputs : frozenset of str
        Identities of the artifacts that it is made from.
    complete : bool
        It has a marker.
    """

    path: Path
    stage: str
    identity: str
    inputs: frozenset[str]
    complete: bool

    @property
    def artifact(self) -> Artifact:
        return artifact_at(self.path)

    @property
    def lock(self) -> str:
        """Name of the lock of its writer."""
        return lock_name(self.path)

    def __str__(self) -> str:
        files, size = self.artifact.size()
        return f"{self.path}  {size / 1e6:.1f} MB in {files} files{'' if self.complete else ', not complete'}"


def artifact_at(path: Path) -> Artifact:
    """The artifact in a folder, by the ending of the folder: a store of arrays, or any files."""
    return (ShardedStore if path.suffix == ShardedStore.suffix else Artifact)(path)


def on_disk(folder: Path) -> list[OnDisk]:
    """All artifacts of a data set, sorted; what has not the form of an artifact is not looked at.

    Parameters
    ----------
    folder : Path
        The artifacts of the data set: ``<folder>/<stage>/<identity>``.
    """
    found = []
    for path in sorted(folder.glob("[!.]*/*")):
        identity = path.name.removesuffix(ShardedStore.suffix)
        if IDENTITY.fullmatch(identity) and ((path / STAGE_FILE).exists() or (path / MARKER).exists()):
            made = read_made(path)
            inputs = frozenset(made.inputs.values() if made else ())
            found.append(OnDisk(path, path.parent.name, identity, inputs, (path / MARKER).exists()))
    return found


def consumers(identities: Collection[str], found: Iterable[OnDisk]) -> list[OnDisk]:
    """The artifacts that are made from some others, directly or through artifacts between them."""
    known, reached = list(found), set(identities)
    while more := {one.identity for one in known if one.inputs & reached} - reached:
        reached |= more
    return [one for one in known if one.identity in reached and one.identity not in identities]


def sources(identities: Collection[str], found: Iterable[OnDisk]) -> set[str]:
    """These identities and those of all artifacts that they are made from."""
    known, reached = {one.identity: one for one in found}, set(identities)
    while more := {name for one in reached if one in known for name in known[one].inputs} - reached:
        reached |= more
    return reached


def in_use(folder: Path, found: Collection[OnDisk]) -> set[str]:
    """Identities of the artifacts that running commands write, and of all that these are made from."""
    return sources({one.identity for one in found if is_locked(folder, one.lock)}, found)


def remove(folder: Path, chosen: Iterable[OnDisk]) -> Iterator[OnDisk]:
    """Remove artifacts, each under the lock of its writer. Yields each that is removed.

    Raises
    ------
    StoreError
        If a running command has begun to write one of them, or it cannot be removed.
    """
    for one in chosen:
        with artifact_lock(folder, one.stage, one.lock, wait=False):
            if is_trained(folder, one.lock):
                raise StoreError(f"a job still trains {one.lock}; wait until it has ended, or cancel it (scancel)")
            one.artifact.discard()
        yield one
