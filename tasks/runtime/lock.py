"""One writer per artifact, also for several processes and for machines that share a folder.

The lock is one of the kernel (``flock``). It ends with the process that holds it, so a killed run leaves nothing to
clean up. A lock that is only the existence of a file would work on every file system, but it would outlive a killed
run, and somebody would have to guess whether its holder is dead. So where the file system has no locks, the run stops.
A lock is never taken from another run: who waits is told who holds it, and what to do if that run is dead.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from data.errors import StoreError
from data.store.artifact import write_json
from tasks.runtime.progress import SECONDS_PER_LINE, duration

log = logging.getLogger("depthseed")

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""Errors of ``flock`` on a file system without locks."""

TRAINING = ".training"
"""End of the name of a second lock, held where a network is trained: a SLURM job outlives the command that waits."""

LONG = 6 * 3600.0
"""Seconds after which a lock held by another machine may be one of a dead machine."""


@dataclass(frozen=True)
class Holder:
    """The run that holds a lock, as it has written it beside the lock. A killed run leaves it behind.

    Attributes
    ----------
    host : str
    pid : int
    since : float
        Seconds since 1970.
    command : str
    """

    host: str
    pid: int
    since: float
    command: str

    @classmethod
    def this_process(cls) -> Holder:
        """This run, from now on."""
        return cls(socket.gethostname(), os.getpid(), time.time(), shlex.join(sys.argv))

    @classmethod
    def read(cls, path: Path) -> Holder | None:
        """What the file says; None if there is none, or if it cannot be shown as one line: it is for people only."""
        try:
            values = json.loads(path.read_bytes())
            found = cls(str(values["host"]), int(values["pid"]), float(values["since"]), str(values["command"]))
            return found if found.pid > 0 and str(found).isprintable() else None
        except (OSError, ValueError, TypeError, KeyError, OverflowError):
            return None

    @property
    def is_here(self) -> bool:
        """True if the run was started on this machine."""
        return self.host == socket.gethostname()

    @property
    def is_dead(self) -> bool:
        """True if the process was one of this machine and has ended."""
        if not self.is_here:
            return False
        try:
            os.kill(self.pid, 0)  # signal 0 only asks
        except PermissionError:  # it is another user's
            return False
        except (ProcessLookupError, OverflowError):
            return True
        return False

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"host {self.host}, process {self.pid}, since {since}, command: {self.command[:200]}"


def lock_name(path: Path) -> str:
    """Name of the lock of an artifact at ``<folder>/<stage>/<identity>``, with or without the ending of a store.

    Examples
    --------
    >>> lock_name(Path("artifacts/demo/ExtractCams/0123456789ab.zarr"))
    'ExtractCams-0123456789ab'
    """
    return f"{path.parent.name}-{path.stem}"


@contextlib.contextmanager
def artifact_lock(folder: Path, label: str, name: str, wait: bool = True) -> Iterator[None]:
    """Hold the lock of an artifact. A second run waits here until the first run has ended or was killed.

    Parameters
    ----------
    folder : Path
        Folder of the artifacts of a data set. The locks are in its folder ``.locks``.
    label : str
        Name of the stage, for the log.
    name : str
        Of an artifact, `lock_name`.
    wait : bool
        False: refuse at once if another run holds the lock.

    Raises
    ------
    StoreError
        If the folder cannot be written, its file system has no locks, or `wait` is False and another run holds the
        lock.
    """
    locks = folder / ".locks"
    try:
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{name}.lock", fallback_to_soft=False)
        if wait:
            _wait_for(lock, locks / f"{name}.json", label, name)
        else:
            lock.acquire(timeout=0)
    except Timeout as error:
        holder = Holder.read(locks / f"{name}.json")
        raise StoreError(
            f"another run is computing {name} ({holder or 'it has not told its name'}); wait for it"
        ) from error
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise StoreError(
                f"{locks}: this file system has no file locks ({error.strerror}), so two runs could write an artifact "
                "at once; give another folder with --artifacts, or mount it with locks (Lustre: flock; NFS: not nolock)"
            ) from error
        raise StoreError(
            f"{locks}: cannot be written ({error.strerror or error}); choose another folder with --artifacts"
        ) from error
    try:
        _sign(locks / f"{name}.json", label, name)
        yield
    finally:
        with contextlib.suppress(OSError):  # what is left of it is taken for a killed run
            (locks / f"{name}.json").unlink(missing_ok=True)
        lock.release()


def is_locked(folder: Path, name: str) -> bool:
    """True if a run holds the lock of an artifact, or trains it; the arguments are those of `artifact_lock`.

    Raises
    ------
    StoreError
        If the file system has no locks.
    """
    return _is_held(folder / ".locks" / f"{name}.lock") or is_trained(folder, name)


def is_trained(folder: Path, name: str) -> bool:
    """True if a process trains the network of an artifact, whether or not a command waits for it; as `is_locked`."""
    return _is_held(folder / ".locks" / f"{name}{TRAINING}.lock")


def _is_held(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0, fallback_to_soft=False):
            return False
    except Timeout:
        return True
    except OSError as error:
        raise StoreError(f"{path}: cannot be asked ({error.strerror or error}); see depthseed doctor") from error


def _wait_for(lock: FileLock, note: Path, label: str, name: str) -> None:
    """Acquire a lock. While another run holds it, a line every 30 seconds says which one."""
    begun, wait = time.monotonic(), 0.0
    while True:
        try:
            lock.acquire(timeout=wait)
            return
        except Timeout:
            holder = Holder.read(note)
            waited = duration(time.monotonic() - begun)
            # The note may be that of an earlier run until the new one has written its own, so advice comes later.
            advice = _advice(holder, lock.lock_file) if wait else ""
            log.info(
                "%s: another run is computing %s; waiting for it%s; %s%s",
                label, name, f" for {waited}" if wait else "", holder or "it has not told its name", advice,
            )  # fmt: skip
            wait = SECONDS_PER_LINE


def _advice(holder: Holder | None, lock: str) -> str:
    """What to do if the run that holds a lock is dead; empty if it seems to be alive."""
    if holder is None:
        return ""
    if holder.is_dead:
        return f"; this process has ended, but not all that it started: find it with 'fuser {lock}' and end it"
    if not holder.is_here and time.time() - holder.since > LONG:
        return f"; if that machine or run is dead, delete {lock} and this run goes on; if it computes, both would write"
    return ""


def _sign(note: Path, label: str, name: str) -> None:
    """Write who holds the lock now. The note of a run that did not end well is told if that run may still compute."""
    last = Holder.read(note)
    if last and not last.is_dead and (last.host, last.pid) != (socket.gethostname(), os.getpid()):
        log.warning(
            "%s: the last run on %s did not release it (%s); it was killed, or this file system has no locks between "
            "machines; if it still computes, stop one of the two", label, name, last,
        )  # fmt: skip
    write_json(note, asdict(Holder.this_process()))
