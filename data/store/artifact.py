"""Artifacts: folders of results that are complete only with their marker. Files are written atomically."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from data.errors import DamagedArtifactError, StoreError
from data.files.fingerprint import hash_file

MARKER = "COMPLETE.json"
"""File that is written last. An artifact without it is not complete."""

CHECKSUM = "checksum"
"""Key of the marker: hash of all its other entries."""


class Marker(NamedTuple):
    """What the marker of a complete artifact says.

    Attributes
    ----------
    digest : str
        Content hash of the whole artifact.
    parents : dict of str
        Name and identity of each stage upstream -> digest of its artifact when it was read.
    identity : str
        Identity of the stage that wrote the artifact. A folder that was copied has that of its source.
    """

    digest: str
    parents: dict[str, str]
    identity: str


SECONDS_TRUSTED = 10.0
"""How long a look at the files of an artifact is good for."""

Stamp = tuple[int, int, int]
"""Modification time, size and inode of a file: if they are the same, it was not written again."""

_CHECKED: dict[Path, tuple[Stamp, float, Marker]] = {}
"""Markers whose files this process has checked, with the stamp of the marker file and the time of the check.

A large artifact has thousands of files, and planning a run asks for its marker many times. If a file is deleted later
and the marker stays, `Artifact.is_complete` still finds out, and reading raises `DamagedArtifactError`.
"""

_RECORDED: dict[Path, tuple[Stamp, dict[str, tuple[int, str]]]] = {}
"""Name -> size and hash of each file, as a marker records them, with the stamp of the marker file."""

_SOUND: dict[Path, Stamp] = {}
"""Files that this process has compared with their marker, with their stamps."""


def write_json(path: Path, content) -> None:
    """Write JSON atomically and durably, as `write_bytes` does."""
    write_bytes(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically and durably (`atomic_file`).

    Raises
    ------
    StoreError
        If the disk is full or the folder cannot be written.
    """
    with atomic_file(path) as file:
        file.write(content)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """An open file whose content is that of `path` after the context: temporary file, fsync, rename.

    Raises
    ------
    StoreError
        If the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f"{path.name}.partial")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            yield file
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
        """What the marker says; None if there is no sound marker, a file is missing, or a file has another size."""
        path = self.path / MARKER
        stamp = _stamp(path)
        if stamp is None:
            return None
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
        marker = Marker(content["digest"], content["parents"], content["identity"])
        _CHECKED[path] = stamp, time.monotonic(), marker
        return marker

    def _content(self) -> dict | None:
        """The marker as it was written, with size and hash of every file; None if there is none, or it is damaged."""
        try:
            content = json.loads((self.path / MARKER).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:
            return None  # a marker is written atomically; one that does not parse was damaged later
        except OSError as error:
            raise StoreError(
                f"{self.path / MARKER}: cannot be read ({error.strerror}); check the disk and the file permissions"
            ) from error
        if not isinstance(content, dict) or content.pop(CHECKSUM, None) != _checksum(content):
            return None
        return content

    def _recorded(self) -> dict[str, tuple[int, str]]:
        """Name of each file -> its size and hash, as the marker records them; empty without a sound marker."""
        path = self.path / MARKER
        stamp = _stamp(path)
        if stamp is None:
            return {}
        known = _RECORDED.get(path)
        if known is None or known[0] != stamp:
            content = self._content()
            known = _RECORDED[path] = stamp, content["files"] if content else {}
        return known[1]

    def require_sound(self, name: str) -> None:
        """Compare a file with the marker, once per process. Without a marker, nothing is known and nothing is checked.

        Raises
        ------
        DamagedArtifactError
            If the file is missing or its content is not what was written, or the marker is damaged.
        """
        path = self.path / name
        recorded, stamp = self._recorded(), _stamp(path)
        if not recorded:
            if (self.path / MARKER).exists():
                raise DamagedArtifactError(self.path, MARKER, "its checksum is wrong")
            return
        if stamp is not None and _SOUND.get(path) == stamp:
            return
        if (reason := _difference(path, recorded.get(name))) is not None:
            raise DamagedArtifactError(self.path, name, reason)
        _SOUND[path] = cast(Stamp, stamp)

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

    def finish(self, parents: Mapping[str, str], identity: str = "") -> None:
        """Remove leftovers of interrupted writes, then write the marker: from now on the artifact is complete.

        Parameters
        ----------
        parents : dict
            Name and identity of each stage upstream -> digest of its artifact. The marker keeps them: an artifact is
            current only while its parents have the same content.
        identity : str
            Identity of the stage that wrote the artifact.
        """
        for leftover in self.path.rglob("*.partial"):
            leftover.unlink()
        files = {
            path.relative_to(self.path).as_posix(): [path.stat().st_size, hash_file(path)] for path in self.files()
        }
        digest = hash_text(json.dumps(files, sort_keys=True))
        content = {"digest": digest, "files": files, "parents": dict(parents), "identity": identity}
        write_json(self.path / MARKER, {**content, CHECKSUM: _checksum(content)})

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
        """Files whose content differs from the hash in the marker, or the marker itself; every byte is read."""
        if (self.path / MARKER).exists() and self._content() is None:
            return [self.path / MARKER]
        return [
            self.path / name
            for name, entry in self._recorded().items()
            if _difference(self.path / name, entry) is not None
        ]

    def reopen(self) -> None:
        """Remove the marker, so that the next run completes the artifact again.

        Nothing vouches for the files afterwards. So those that differ from the marker are removed before it.

        Raises
        ------
        StoreError
            If a file cannot be removed.
        """
        with writing(self.path):
            for path in self.damaged_files():
                self._remove_damaged(path)
            self._forget()

    def _remove_damaged(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def _forget(self) -> None:
        _CHECKED.pop(self.path / MARKER, None)
        (self.path / MARKER).unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the artifact from disk. If its folder is a link, the folder behind the link is emptied.

        Raises
        ------
        StoreError
            If anything is left. What is left could be taken for a result.
        """
        try:
            if not self.path.exists():
                return
            self._forget()  # first, since a half-deleted artifact must not look complete
            if self.path.is_symlink():
                for child in self.path.iterdir():
                    shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
            else:
                shutil.rmtree(self.path)
        except OSError as error:
            raise StoreError(
                f"{self.path}: cannot be removed ({error.strerror or error}); remove it, then run the same command "
                "again"
            ) from error

    def size(self) -> tuple[int, int]:
        """Number of files and bytes on disk, with the marker."""
        sizes = [path.stat().st_size for path in self.path.rglob("*") if path.is_file()]
        return len(sizes), sum(sizes)


def _stamp(path: Path) -> Stamp | None:
    """The stamp of a file; None if there is none."""
    try:
        stat = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _difference(path: Path, recorded: tuple[int, str] | None) -> str | None:
    """Why a file is not what a marker records, (size, hash); None if it is."""
    if recorded is None:
        return "the marker does not list it"
    try:
        if path.stat().st_size != recorded[0]:
            return "its size is not the recorded one"
        return None if hash_file(path) == recorded[1] else "its hash is not the recorded one"
    except OSError as error:
        return error.strerror or "it cannot be read"


def _checksum(content: Mapping[str, object]) -> str:
    """Hash of the content of a marker."""
    return hash_text(json.dumps(content, sort_keys=True))


def hash_bytes(content: bytes) -> str:
    """BLAKE2b digest, 32 hex characters."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def hash_text(text: str) -> str:
    """BLAKE2b digest, 32 hex characters, of a text."""
    return hash_bytes(text.encode())
