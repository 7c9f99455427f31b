"""What all readers share: files that must exist, a hint for a wrong root, and the order of the samples."""

from __future__ import annotations

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
