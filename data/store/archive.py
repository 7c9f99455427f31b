"""Zip archives as results: written atomically, file by file, with the same bytes for the same content."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

from data.store.artifact import atomic_file


def write_zip(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write an archive. Only one of its files is in memory at a time.

    Parameters
    ----------
    path : Path
    files : iterable of (name, content)

    Raises
    ------
    StoreError
        If the disk is full or the folder cannot be written.
    """
    with atomic_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)  # dated 1980
