"""Facts about files, remembered by size and modification time as git does in its index."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data.errors import DatasetError


class FileFacts:
    """Facts about files. A file is read again only when its size or modification time has changed.

    Parameters
    ----------
    cache : Path
        JSON file that keeps the facts between runs. It may be deleted at any time. If it cannot be
        written, the next run reads the files again.
    """

    def __init__(self, cache: Path):
        self.cache = cache
        try:
            self.known = json.loads(cache.read_text())
        except (OSError, ValueError):
            self.known = {}
        self.changed = False

    def fact(self, path: Path, key: str, find: Callable[[], Any]) -> Any:
        """The fact about a file under `key`; `find` is called only if it is not remembered.

        Parameters
        ----------
        path : Path
        key : str
            Names the fact; different facts about one file have different keys.
        find : callable
            () -> the fact, as plain JSON data.

        Raises
        ------
        DatasetError
            If the file is missing or cannot be read.
        """
        try:
            stat = os.stat(path)
            stamp = [stat.st_size, stat.st_mtime_ns]
            entry = self.known.get(key)
            if entry is None or entry[:2] != stamp:
                entry = self.known[key] = [*stamp, find()]
                self.changed = True
        except FileNotFoundError as error:
            raise DatasetError(f"{path}: file is missing; restore it or take its image out of the data set") from error
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
        return entry[2]

    def save(self) -> None:
        """Write the facts if any is new."""
        if not self.changed:
            return
        try:
            self.cache.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.cache.with_name(f"{self.cache.name}.{os.getpid()}.partial")
            temporary.write_text(json.dumps(self.known))
            temporary.replace(self.cache)
            self.changed = False
        except OSError:
            pass  # only a cache: without it the next run reads the files again
