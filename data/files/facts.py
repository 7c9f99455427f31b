"""Facts about files, remembered by the stamps of the files, as git does in its index."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from data.errors import DatasetError

T = TypeVar("T")

AnyPath = str | os.PathLike[str]

Stamp = list[int]
"""Size, modification time, change time and inode of a file. Nobody can set the change time back."""


def stamp_of(path: AnyPath) -> Stamp:
    """The stamp of a file.

    Raises
    ------
    DatasetError
        If the file is missing, is no regular file (a pipe would block for ever), or cannot be read.
    """
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DatasetError(f"{path}: file is missing; restore it or take its image out of the data set") from error
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        raise DatasetError(f"{path}: is no regular file; replace it or take it out of the data set")
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def unreadable(path: AnyPath, error: OSError) -> DatasetError:
    """The error about a file that the system does not let us read."""
    return DatasetError(f"{path}: cannot be read ({error.strerror}); check the disk and the file permissions")


def changed(path: AnyPath) -> DatasetError:
    """The error about a file that somebody changes during a run."""
    return DatasetError(f"{path}: was changed while it was read; run the same command again when nobody writes to it")


def kept_while_unchanged(most: int) -> Callable[[Callable[[Path], T]], Callable[[Path], T]]:
    """A decorator for a function that reads a file: its last `most` results are kept while the stamps stay."""

    def decorate(function: Callable[[Path], T]) -> Callable[[Path], T]:
        @functools.lru_cache(maxsize=most)
        def kept(path: Path, stamp: tuple[int, ...]) -> T:
            return function(path)

        @functools.wraps(function)
        def of_content(path: Path) -> T:
            try:
                stamp = tuple(stamp_of(path))
            except DatasetError:
                return function(path)  # it has a better line for a file that is not there
            return kept(path, stamp)

        vars(of_content)["cache_clear"] = kept.cache_clear
        return of_content

    return decorate


class FileFacts:
    """Facts about files. A file is read again only when its stamp has changed.

    Parameters
    ----------
    cache : Path, optional
        File that keeps the facts between runs. It may be deleted at any time. If it is damaged or cannot be written,
        the next run reads the files again.
    """

    def __init__(self, cache: Path | None = None):
        self.cache = cache
        self.known: dict[str, list] = _read(cache) if cache else {}
        self.has_news = False

    def fact(self, path: AnyPath, key: str, find: Callable[[], Any]) -> Any:
        """The fact about a file under `key`; `find` is called only if it is not remembered.

        Parameters
        ----------
        path : str or Path
        key : str
            Names the fact; different facts about one file have different keys.
        find : callable
            () -> the fact, as plain JSON data.

        Raises
        ------
        DatasetError
            If the file is missing, is no regular file, cannot be read, or changes while `find` reads it.
        """
        stamp = stamp_of(path)
        entry = self.known.get(key)
        if entry is None or entry[0] != stamp:
            try:
                entry = [stamp, find()]
            except OSError as error:
                raise unreadable(path, error) from error
            if stamp_of(path) != stamp:
                raise changed(path)
            self.known[key] = entry
            self.has_news = True
        return entry[1]

    def save(self) -> None:
        """Write the facts if any is new: their JSON, and its hash in a second line."""
        if not self.has_news or self.cache is None:
            return
        content = json.dumps(self.known).encode()
        try:
            self.cache.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.cache.with_name(f"{self.cache.name}.{os.getpid()}.partial")
            temporary.write_bytes(content + b"\n" + _digest(content))
            temporary.replace(self.cache)
            self.has_news = False
        except OSError:
            pass  # only a cache: without it the next run reads the files again


def _read(cache: Path) -> dict[str, list]:
    """The facts that `FileFacts.save` wrote; empty if there are none or the file is damaged."""
    try:
        content, _, digest = cache.read_bytes().rpartition(b"\n")
    except OSError:
        return {}
    return json.loads(content) if digest == _digest(content) else {}


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).hexdigest().encode()
