"""Content hashes of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from data.files.facts import FileFacts
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
