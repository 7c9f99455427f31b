"""Content hashes of files, and whether a file has changed since it was hashed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from data.files.facts import AnyPath, FileFacts, Stamp, changed, stamp_of
from data.files.pixels import is_member


def hash_file(path: AnyPath) -> str:
    """BLAKE2b digest (32 hex characters) of a file's bytes, read in blocks."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class FileHashes(FileFacts):
    """Content hashes of files, remembered. An item of a ``.npy`` file has the hash of its file and its index."""

    def __call__(self, path: AnyPath) -> str:
        text = os.fspath(path)
        if is_member(text):
            file, name = os.path.split(text)
            return f"{self(file)}/{name}"
        return self.fact(text, text, lambda: hash_file(text))


class WatchedFiles:
    """Files that a result depends on.

    Their hashes are a part of its identity. So they must not change until the result is complete.

    Parameters
    ----------
    hashes : FileHashes
    """

    def __init__(self, hashes: FileHashes):
        self.hashes = hashes
        self.stamps: dict[str, Stamp] = {}

    def __call__(self, path: AnyPath) -> str:
        """Content hash of a file, which is watched from now on; raises as `FileFacts.fact`."""
        text = os.fspath(path)
        found = self.hashes(text)
        file = os.path.dirname(text) if is_member(text) else text
        self.stamps[file] = self.hashes.known[file][0]
        return found

    def digest(self) -> str:
        """Hash of the paths and stamps of all watched files, 32 hex characters."""
        digest = hashlib.blake2b(digest_size=16)
        for path in sorted(self.stamps):
            digest.update(f"{path} {self.stamps[path]}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def digest_of(self, ask: Callable[[], object]) -> str:
        """`digest` of the files that a function asks for alone; empty if it asks for none."""
        watched, self.stamps = self.stamps, {}
        try:
            ask()
            return self.digest() if self.stamps else ""
        finally:
            self.stamps = watched  # a file that has changed since it was watched stays a changed one

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
