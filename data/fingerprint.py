"""Content hashes of files, remembered by size and modification time as git does in its index."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from data.errors import DatasetError
from data.files import is_member


def hash_file(path: Path) -> str:
    """BLAKE2b digest (32 hex characters) of a file's bytes, read in pieces."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


class FileHashes:
    """Hashes of files; a file is read again only when its size or modification time changed.

    Parameters
    ----------
    cache : Path
        JSON file that remembers the hashes between runs. It may be deleted at any time, and a
        folder that cannot be written only costs the hashing anew.
    """

    def __init__(self, cache: Path):
        self.cache = cache
        try:
            self.known = json.loads(cache.read_text())
        except (OSError, ValueError):
            self.known = {}
        self.changed = False

    def __call__(self, path: Path) -> str:
        if is_member(path):
            return f"{self(path.parent)}/{path.name}"
        try:
            stat = os.stat(path)
            stamp = [stat.st_size, stat.st_mtime_ns]
            key = str(path)
            entry = self.known.get(key)
            if entry is None or entry[:2] != stamp:
                entry = self.known[key] = [*stamp, hash_file(path)]
                self.changed = True
        except FileNotFoundError as error:
            raise DatasetError(f"{path}: file is missing; restore it or take its image out of the data set") from error
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
        return entry[2]

    def save(self) -> None:
        """Write what was learned since the cache was read."""
        if not self.changed:
            return
        try:
            self.cache.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.cache.with_name(f"{self.cache.name}.{os.getpid()}.partial")
            temporary.write_text(json.dumps(self.known))
            temporary.replace(self.cache)
            self.changed = False
        except OSError:
            pass  # a cache: without it the next run hashes again
