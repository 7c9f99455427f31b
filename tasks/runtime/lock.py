"""One writer per artifact, also for several processes and for machines that share a folder."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from data.errors import StoreError

log = logging.getLogger("depthseed")


@contextlib.contextmanager
def artifact_lock(folder: Path, label: str, name: str) -> Iterator[None]:
    """Hold the lock of an artifact. A second run waits here until the first run has ended or was killed.

    Parameters
    ----------
    folder : Path
        Folder of the artifacts of a data set. The locks are in its folder ``.locks``.
    label : str
        Name of the stage, for the log.
    name : str
        Stage and identity.

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    locks = folder / ".locks"
    try:
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{name}.lock")
        lock.acquire(timeout=0)
    except Timeout:  # Timeout is an OSError, so it must come first
        log.info("%s: another run is computing %s; waiting for it", label, name)
        lock.acquire()
    except OSError as error:
        raise StoreError(
            f"{locks}: cannot be written ({error.strerror}); choose another folder with --artifacts"
        ) from error
    try:
        yield
    finally:
        lock.release()
