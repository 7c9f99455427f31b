"""What all readers share: files that must exist, a hint for a wrong root, and the order of the samples."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from types import MappingProxyType

from data.errors import DatasetError
from data.sample import DatasetIndex, Sample, Samples


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


def is_inside(name: str) -> bool:
    """True if a relative path does not lead out of its folder.

    Examples
    --------
    >>> is_inside("a/b.jpg"), is_inside("../b.jpg"), is_inside("/b.jpg"), is_inside("")
    (True, False, False, False)
    """
    path = PurePath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


class Listing:
    """The files of a folder, listed once: a set of 10^5 images asks for each of them, and each question costs time.

    Parameters
    ----------
    folder : Path
        It may be missing; it has no files then.

    Raises
    ------
    DatasetError
        If the folder cannot be read.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            self.names = frozenset(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            self.names = frozenset()
        except OSError as error:
            raise DatasetError(f"{folder}: cannot be listed ({error.strerror}); correct its permissions") from error

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


def sorted_index(
    root: Path, class_names: Sequence[str], samples: Iterable[Sample], splits: Mapping[str, str] = MappingProxyType({})
) -> DatasetIndex:
    """The index of the samples, sorted: train first, then by image id.

    Parameters
    ----------
    root : Path
    class_names : sequence of str
        Number 0 first.
    samples : iterable of Sample
    splits : mapping
        Splits that must have samples -> their folder, list or folds, for the error.

    Raises
    ------
    DatasetError
        As `DatasetIndex`, and if one of `splits` is empty.
    """
    index = DatasetIndex(root, tuple(class_names), Samples.of(root, samples).ordered())
    for split, place in splits.items():
        if not index.split(split):
            raise DatasetError(f"{root}: the {split} split ({place}) has no images; {root_hint(root)}")
    return index
