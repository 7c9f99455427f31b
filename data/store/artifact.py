"""Artifacts: folders of results that are complete only with their marker. Files are written atomically."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from data.errors import DamagedArtifactError, StoreError
from data.files.fingerprint import hash_file

MARKER = "COMPLETE.json"
"""File that is written last. An artifact without it is not complete."""


class Marker(NamedTuple):
    """What the marker of a complete artifact says.

    Attributes
    ----------
    digest : str
        Content hash of the whole artifact.
    parents : dict of str
        Name and identity of each stage upstream -> digest of its artifact when it was read.
    """

    digest: str
    parents: dict[str, str]


SECONDS_TRUSTED = 10.0
"""How long a look at the files of an artifact is good for."""

_CHECKED: dict[Path, tuple[tuple[int, int, int], float, Marker]] = {}
"""Markers whose files this process has checked, with time, size and inode of the marker file at that moment.

A large artifact has thousands of files, and planning a run asks for its marker many times. If a file is deleted later
and the marker stays, `Artifact.is_complete` still finds out, and reading raises `DamagedArtifactError`.
"""


def write_json(path: Path, content) -> None:
    """Write JSON atomically and durably, as `write_bytes` does."""
    write_bytes(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically and durably: temporary file, fsync, rename.

    Raises
    ------
    StoreError
        If the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f"{path.name}.partial")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


class writing:  # noqa: N801, it reads as a verb
    """Context in which a failed write (full disk, read-only folder) raises a StoreError of one line."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if isinstance(error, OSError):
            raise StoreError(
                f"{self.path}: cannot be written ({error.strerror or error}); free space or choose another folder "
                "with --artifacts, then run the same command again: completed shards are kept"
            ) from error


class Artifact:
    """A folder of results with a marker: the base of all kinds of artifacts.

    Parameters
    ----------
    path : Path
        The folder.
    """

    suffix = ""
    """Ending of the folder's name."""

    def __init__(self, path: Path):
        self.path = Path(path)

    @property
    def marker(self) -> Marker | None:
        """What the marker says; None if there is no marker, a file is missing, or a file has another size."""
        path = self.path / MARKER
        try:
            stat = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = _CHECKED.get(path)
        if known is not None and known[0] == stamp and time.monotonic() - known[1] < SECONDS_TRUSTED:
            return known[2]
        content = self._content()
        if content is None:
            return None
        try:
            folder = f"{self.path}{os.sep}"  # for thousands of files, joining Paths would take most of the time
            if any(os.path.getsize(folder + name) != size for name, (size, _) in content["files"].items()):
                return None
        except OSError:
            return None
        marker = Marker(content["digest"], content["parents"])
        _CHECKED[path] = stamp, time.monotonic(), marker
        return marker

    def _content(self) -> dict | None:
        """The marker as it was written, with size and hash of every file; None if there is none."""
        try:
            return json.loads((self.path / MARKER).read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:
            return None  # a marker is written atomically; one that does not parse was damaged later

    def _recorded(self) -> dict[str, tuple[int, str]]:
        """Name of each file -> its size and hash, as the marker records them."""
        content = self._content()
        return content["files"] if content else {}

    def is_complete(self) -> bool:
        """True if the marker exists and every file that it lists has its size; always checked on disk."""
        _CHECKED.pop(self.path / MARKER, None)
        return self.marker is not None

    def digest(self) -> str | None:
        """Content hash of the whole artifact as the marker records it; None if it is not complete."""
        marker = self.marker
        return marker.digest if marker else None

    def files(self) -> list[Path]:
        """All files of the artifact, sorted, without the marker and leftovers of interrupted writes."""
        return sorted(
            path
            for path in self.path.rglob("*")
            if path.is_file() and path.name != MARKER and not path.name.endswith(".partial")
        )

    def finish(self, parents: Mapping[str, str]) -> None:
        """Remove leftovers of interrupted writes, then write the marker: from now on the artifact is complete.

        Parameters
        ----------
        parents : dict
            Name and identity of each stage upstream -> digest of its artifact. The marker keeps them: an artifact is
            current only while its parents have the same content.
        """
        for leftover in self.path.rglob("*.partial"):
            leftover.unlink()
        files = {
            path.relative_to(self.path).as_posix(): [path.stat().st_size, hash_file(path)] for path in self.files()
        }
        digest = hash_text(json.dumps(files, sort_keys=True))
        write_json(self.path / MARKER, {"digest": digest, "files": files, "parents": dict(parents)})

    def read(self, name: str) -> bytes:
        """Content of a file, checked against the marker.

        Raises
        ------
        DamagedArtifactError
            If the file is missing or its content is not what was written.
        """
        recorded = self._recorded()
        try:
            content = (self.path / name).read_bytes()
        except OSError as error:
            raise DamagedArtifactError(self.path, name, error.strerror) from error
        if name not in recorded or hash_bytes(content) != recorded[name][1]:
            raise DamagedArtifactError(self.path, name, "its hash is not the recorded one")
        return content

    def repair(self, error: DamagedArtifactError) -> None:
        """Remove what the error found damaged (here the whole artifact), so that the next run recomputes it."""
        self.discard()

    def damaged_files(self) -> list[Path]:
        """Files whose content differs from the hash in the marker; every byte is read."""
        damaged = []
        for name, (_, digest) in self._recorded().items():
            path = self.path / name
            if not path.exists() or hash_file(path) != digest:
                damaged.append(path)
        return damaged

    def reopen(self) -> None:
        """Remove the marker, so that the next run completes the artifact again."""
        _CHECKED.pop(self.path / MARKER, None)
        (self.path / MARKER).unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the artifact from disk."""
        self.reopen()  # first, since a half-deleted artifact must not look complete
        shutil.rmtree(self.path, ignore_errors=True)

    def size(self) -> tuple[int, int]:
        """Number of files and bytes on disk, with the marker."""
        sizes = [path.stat().st_size for path in self.path.rglob("*") if path.is_file()]
        return len(sizes), sum(sizes)


def hash_bytes(content: bytes) -> str:
    """BLAKE2b digest, 32 hex characters."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def hash_text(text: str) -> str:
    """BLAKE2b digest, 32 hex characters, of a text."""
    return hash_bytes(text.encode())
