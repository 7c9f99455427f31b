"""Content hashes of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from data.files.facts import FileFacts
from data.files.pixels import is_member


def hash_file(path: Path) -> str:
    """BLAKE2b digest (32 hex characters) of a file's bytes, read in pieces."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


class FileHashes(FileFacts):
    """Hashes of files, remembered."""

    def __call__(self, path: Path) -> str:
        if is_member(path):
            return f"{self(path.parent)}/{path.name}"
        return self.fact(path, str(path), lambda: hash_file(path))
