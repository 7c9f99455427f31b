"""Zip archives as results: written atomically, file by file, with the same bytes for the same content."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

from data.store.artifact import writing


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
    temporary = path.with_name(f"{path.name}.partial")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for name, content in files:
                    archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)  # dated 1980
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
