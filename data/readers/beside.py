"""Files beside the images of a plain folder: ``depth/NAME.png`` belongs to ``images/NAME.jpg``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from data.errors import DatasetError
from data.readers.common import Listing
from data.readers.tag_rows import Tagged
from data.sample import TRAIN


class Beside:
    """Finds the file of an image in a folder: by its path below ``images/``, or else by the last part of its name.

    Each folder is listed once. Endings may have capital letters; a file whose ending has none comes first.

    Parameters
    ----------
    folder : Path
        It may be missing; no image has a file then.
    endings : sequence of str
        In lower case, with the dot; the first that exists counts.
    shared : set of str
        Names that two images have in common (`shared_names`).

    Raises
    ------
    DatasetError
        If a folder cannot be read.
    """

    def __init__(self, folder: Path, endings: Sequence[str], shared: frozenset[str] = frozenset()):
        self.folder, self.endings, self.shared = folder, tuple(endings), shared
        self._name = folder.name
        self._listed: dict[str, dict[str, str]] = {}
        self._owner: dict[str, Tagged] = {}

    def __call__(self, row: Tagged) -> str:
        """The file of an image, relative to the folder of the data set; empty: it has none.

        Raises
        ------
        DatasetError
            If two images would have the same file.
        """
        found = self.named(row.stem)
        if not found and row.flat and row.flat != row.stem:
            found = self.named(row.flat)
        if found and row.flat in self.shared:
            owner = self._owner.setdefault(found, row)
            if owner.image != row.image:
                raise DatasetError(f"{self.folder.parent / found}: {self._conflict(owner, row)}")
        return found

    def _conflict(self, one: Tagged, other: Tagged) -> str:
        line = f"the images {one.image} and {other.image} would both have this file; "
        if one.stem == other.stem:
            return f"{line}rename one of the images"
        ending = self.endings[0]
        names = " and ".join(f"{self.folder.name}/{row.stem}{ending}" for row in (one, other))
        return f"{line}give each its own in sub-folders as the images have ({names}), or rename one of the images"

    def named(self, stem: str) -> str:
        """The file of this name without ending, relative to the folder of the data set; empty: there is none."""
        below, _, name = stem.rpartition("/")
        listed = self._listed.get(below)
        if listed is None:
            listed = self._listed[below] = self._list(below)
        for ending in self.endings:
            file = listed.get(name + ending)
            if file is not None:
                return f"{self._name}/{below}/{file}" if below else f"{self._name}/{file}"
        return ""

    def _list(self, below: str) -> dict[str, str]:
        """Name with the ending in lower case -> name."""
        names = Listing(self.folder / below).names
        found: dict[str, str] = {}
        for name in names:
            stem, ending = os.path.splitext(name)
            small = ending.lower()
            if small == ending:
                if ending in self.endings:
                    found[name] = name
            elif small in self.endings and (key := stem + small) not in names:
                found[key] = min(found.get(key, name), name)
        return found


def shared_names(rows: Iterable[Tagged]) -> frozenset[str]:
    """Names, without folder and ending, of two different images in different splits.

    Two images of one split cannot have the same name: it is their id.
    """
    rows = list(rows)
    of_evaluation = {row.flat: row.image for row in rows if row.flat and row.split != TRAIN}
    if not of_evaluation:
        return frozenset()
    return frozenset(
        row.flat for row in rows if row.split == TRAIN and of_evaluation.get(row.flat, row.image) != row.image
    )
