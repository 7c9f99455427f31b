"""Files in ``depth/`` and ``masks/`` of a plain folder that nothing reads: a wrong name is no reason to be silent."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from data.files.pixels import IMAGE_SUFFIXES
from data.readers.tag_rows import EVALUATION_NAMES
from data.sample import DatasetIndex

MOST_NAMED = 3

NO_DATA = ("thumbs.db", "desktop.ini")
"""What systems put into folders, in lower case. They also hide files behind a dot."""


def unread_files(root: Path, index: DatasetIndex) -> list[str]:
    """Lines about files in ``depth/`` and ``masks/`` that belong to no image, or whose ending is not read.

    Files of images that the table of the tags leaves out are none of them. Each folder is listed once.

    Parameters
    ----------
    root : Path
        Folder of the data set.
    index : DatasetIndex
        As `data.readers.folder.read_folder` gives it.
    """
    values = index.samples.table.values
    used = {"depth": set(values["depth"].tolist()), "masks": set()}
    used["masks"] = {path for row in index.samples.table.rows(["truth"]) for path, *_ in row["truth"]}
    indexed = set(_names(values["image"].tolist()))
    known: set[str] | None = None
    lines = []
    for folder, read in used.items():
        idle = []
        for file in _files(root, folder):
            if file in read:
                continue
            if known is None:
                known = set(_names(_images(root))) - indexed
            if os.path.splitext(file)[0][len(folder) + 1 :] not in known:
                idle.append(file)
        if idle:
            named = ", ".join(sorted(idle)[:MOST_NAMED]) + (", ..." if len(idle) > MOST_NAMED else "")
            endings = "a PNG or TIFF file" if folder == "depth" else "a PNG file"
            lines.append(
                f"{len(idle)} files in {folder}/ are not read: {named}; an image has {endings} of its own name in there"
            )
    return lines


def _files(root: Path, folder: str) -> Iterator[str]:
    for place, _, names in os.walk(root / folder):
        below = os.path.relpath(place, root).replace(os.sep, "/")
        for name in names:
            if not name.startswith(".") and name.lower() not in NO_DATA:
                yield f"{below}/{name}"


def _images(root: Path) -> Iterator[str]:
    """All images of the data set, also those without tags and those of a split that stays unseen."""
    for folder in ("images", "train", *EVALUATION_NAMES):
        for file in _files(root, folder):
            if file.lower().endswith(IMAGE_SUFFIXES):
                yield file


def _names(images: Iterable[str]) -> Iterator[str]:
    """The names that files of an image may have: its path below ``images/``, and the last part of it."""
    for image in images:
        stem = os.path.splitext(image.removeprefix("images/"))[0]
        yield stem
        yield os.path.basename(stem)
