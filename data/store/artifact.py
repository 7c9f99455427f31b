"""Artifacts: folders of results that are complete only with their marker, and atomic writing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from data.errors import DamagedArtifactError, StoreError
from data.files.fingerprint import hash_file

MARKER = "COMPLETE.json"


class Marker(NamedTuple):
    """What the marker of a complete artifact says.

    Attributes
    ----------
    digest : str
        Content hash of the whole artifact.
    parents : dict of str
        Upstream stage and identity -> digest of the artifact that was read.
    """

    digest: str
    parents: dict[str, str]


_CHECKED: dict[Path, tuple[tuple[int, int, int], Marker]] = {}
"""Markers whose files this process has found in place, with time, size and inode of the marker at that moment.

A large artifact has thousands of files, and a plan asks for it on each path through the graph. A file that is deleted
later, while the marker stays, is noticed by `Artifact.is_complete` and by those who read it (`DamagedShardError`).
"""


def write_json(path: Path, content) -> None:
    """Write JSON atomically and durably: temporary file, fsync, rename."""
    write_bytes(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically and durably: temporary file, fsync, rename."""
    temporary = path.with_name(f"{path.name}.partial")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


class writing:  # noqa: N801, it reads as a verb
    """Turns a refused write (full disk, read-only folder) into one clear line."""

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
    """A folder of results with a marker: what store and model artifacts have in common.

    Parameters
    ----------
    path : Path
    """

    suffix = ""
    """End of the folder's name."""

    def __init__(self, path: Path):
        self.path = Path(path)

    @property
    def marker(self) -> Marker | None:
        """What the marker says; None if the artifact is not complete, or lacks a file, or one has another size."""
        path = self.path / MARKER
        try:
            stat = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = _CHECKED.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        content = self._content()
        if content is None:
            return None
        try:
            folder = f"{self.path}{os.sep}"  # thousands of files: joining paths would take most of the time
            if any(os.path.getsize(folder + name) != size for name, (size, _) in content["files"].items()):
                return None
        except OSError:
            return None
        marker = Marker(content["digest"], content["parents"])
        _CHECKED[path] = stamp, marker
        return marker

    def _content(self) -> dict | None:
        """The marker as it was written, with size and hash of every file; None while there is none."""
        try:
            return json.loads((self.path / MARKER).read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:
            return None  # a marker is written atomically; one that does not parse was damaged later

    def _recorded(self) -> dict[str, tuple[int, str]]:
        """Name of each file -> its size and hash, as the marker has them."""
        content = self._content()
        return content["files"] if content else {}

    def is_complete(self) -> bool:
        """True if the marker is there and every file that it lists has its size, by a new look at the disk."""
        _CHECKED.pop(self.path / MARKER, None)
        return self.marker is not None

    def digest(self) -> str | None:
        """Content hash of the whole artifact as the marker records it; None if it is not complete."""
        marker = self.marker
        return marker.digest if marker else None

    def files(self) -> list[Path]:
        """All files of the artifact except marker and leftovers of interrupted writes, sorted."""
        return sorted(
            path
            for path in self.path.rglob("*")
            if path.is_file() and path.name != MARKER and not path.name.endswith(".partial")
        )

    def finish(self, parents: Mapping[str, str]) -> None:
        """Write the marker: from here on the artifact is complete.

        Parameters
        ----------
        parents : dict
            Stage name -> digest of the artifacts that were read. They are kept beside the digest, so
            that an artifact is only current while its parents still are what they were.
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
            If it is not what was written.
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
        """Take out what an error found damaged, so that the next run computes it again."""
        self.discard()

    def damaged_files(self) -> list[Path]:
        """Files whose content is not what the marker says (reads every byte)."""
        damaged = []
        for name, (_, digest) in self._recorded().items():
            path = self.path / name
            if not path.exists() or hash_file(path) != digest:
                damaged.append(path)
        return damaged

    def reopen(self) -> None:
        """Take the marker away, so that the next run completes the artifact again."""
        _CHECKED.pop(self.path / MARKER, None)
        (self.path / MARKER).unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the artifact from disk."""
        self.reopen()  # first: a half-deleted artifact must not look complete
        shutil.rmtree(self.path, ignore_errors=True)

    def size(self) -> tuple[int, int]:
        """(number of files, bytes) on disk."""
        sizes = [path.stat().st_size for path in self.path.rglob("*") if path.is_file()]
        return len(sizes), sum(sizes)


def hash_bytes(content: bytes) -> str:
    """BLAKE2b digest, 32 hex characters."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def hash_text(text: str) -> str:
    """BLAKE2b digest, 32 hex characters, of a text."""
    return hash_bytes(text.encode())
