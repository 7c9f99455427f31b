"""Photographs of single objects beside a data set: ``crops/CLASS/NAME.png`` in its folder.

Each shows one object of the class, cut out closely. If a photograph has transparency, the object is what is opaque.
They are no images of the set: trainings paste them into its images if the user wants it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from data.errors import DatasetError
from data.files.pixels import IMAGE_SUFFIXES
from data.readers.common import Listing

CROPS = "crops"
"""Name of the folder in that of the data set."""


class Cutout(NamedTuple):
    """A photograph of one object: its file, and the class number 1..K of the object."""

    path: Path
    class_number: int


def list_cutouts(root: Path, class_of: Mapping[str, int]) -> list[Cutout]:
    """The photographs in ``root/crops``, sorted by class folder and name.

    Parameters
    ----------
    root : Path
        Folder of the data set.
    class_of : mapping
        Name of a class folder -> class number. Two names may have one number.

    Raises
    ------
    DatasetError
        If there is no photograph, or a folder has the name of no class.
    """
    folder = root / CROPS
    found = []
    for name in sorted(Listing(folder).names):
        if not (folder / name).is_dir():
            continue
        if name not in class_of:
            raise DatasetError(
                f"{folder / name}: '{name}' is no class of the set; rename the folder to one of: "
                f"{', '.join(sorted(class_of)[:10])}"
            )
        files = sorted(Listing(folder / name).names)
        found += [
            Cutout(folder / name / file, class_of[name]) for file in files if file.lower().endswith(IMAGE_SUFFIXES)
        ]
    if not found:
        raise DatasetError(f"{folder}: has no photographs; put them there as CLASS/NAME.png, or set the cutouts to 0")
    return found
