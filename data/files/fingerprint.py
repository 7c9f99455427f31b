"""Content hashes of files, and whether a file has changed since it was hashed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from data.files.facts import FileFacts, Stamp, changed, stamp_of
from data.files.pixels import is_member


def hash_file(path: Path) -> str:
    """BLAKE2b digest (32 hex characters) of a file's bytes, read in blocks."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class FileHashes(FileFacts):
    """Content hashes of files, remembered. An item of a ``.npy`` file has the hash of its file and its index."""

    def __call__(self, path: Path) -> str:
        if is_member(path):
            return f"{self(path.parent)}/{path.name}"
        return self.fact(path, str(path), lambda: hash_file(path))


class WatchedFiles:
    """Files that a result depends on.

    Their hashes are a part of its identity. So they must not change until the result is complete.

    Parameters
    ----------
    hashes : FileHashes
    """

    def __init__(self, hashes: FileHashes):
        self.hashes = hashes
        self.stamps: dict[Path, Stamp] = {}

    def __call__(self, path: Path) -> str:
        """Content hash of a file, which is watched from now on; raises as `FileFacts.fact`."""
        found = self.hashes(path)
        file = path.parent if is_member(path) else path
        self.stamps[file] = self.hashes.known[str(file)][0]
        return found

    def require_unchanged(self) -> None:
        """Check that no watched file was written to since it was hashed, not even with the same content.

        Raises
        ------
        DatasetError
            If one was, or is missing.
        """
        for path, stamp in self.stamps.items():
            if stamp_of(path) != stamp:
                raise changed(path)


NAMED_FILES = WatchedFiles(FileHashes())
"""Files that a parameter names: weights, networks."""
