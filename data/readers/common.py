"""What all readers share: files that must exist, a hint for a wrong root, and the order of the samples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from data.errors import DatasetError
from data.sample import TRAIN, DatasetIndex, Sample


def required(path: Path, owner: str) -> Path:
    """`path`, if it exists.

    Parameters
    ----------
    path : Path
    owner : str
        What needs the file: an image, a list, ...

    Raises
    ------
    DatasetError
        If the file is missing.
    """
    if not path.exists():
        raise DatasetError(f"{path}: file is missing, but {owner} needs it; restore the file")
    return path


class Listing:
    """The files of a folder, listed once: a set of 10^5 images asks for each of them, and each question costs time.

    Parameters
    ----------
    folder : Path
        It may be missing; it has no files then.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            self.names = frozenset(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            self.names = frozenset()

    def __contains__(self, name: str) -> bool:
        """True if the folder has the file; a name may also lead into a folder below it."""
        return name in self.names or ("/" in name and (self.folder / name).exists())


def root_hint(root: Path) -> str:
    """End of an error line about a folder that is not where it should be.

    Examples
    --------
    >>> root_hint(Path("sets/hope"))
    'the data set must lie in sets/hope; check --data-root'
    """
    return f"the data set must lie in {root}; check --data-root"


def sorted_index(root: Path, class_names: Sequence[str], samples: Sequence[Sample]) -> DatasetIndex:
    """The index of the samples, sorted: train first, then by image id."""
    ordered = sorted(samples, key=lambda sample: (sample.split != TRAIN, sample.image_id))
    return DatasetIndex(root, tuple(class_names), tuple(ordered))
