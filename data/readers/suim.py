"""Reader of SUIM, underwater images (https://irvlab.cs.umn.edu/resources/suim-dataset).

::

    root/train_val/images/d_r_47_.jpg    root/train_val/masks/d_r_47_.bmp
    root/TEST/images/d_r_1_.jpg          root/TEST/masks/d_r_1_.bmp
"""

from __future__ import annotations

from pathlib import Path

from data.readers.label_maps import TagsOf, read_masks
from data.sample import DatasetIndex

CLASSES = ("water", "diver", "plant", "wreck", "robot", "reef", "fish", "sea floor")


def read_suim(root: Path, splits: dict[str, str], tags_of: TagsOf) -> DatasetIndex:
    """Index SUIM.

    Raises
    ------
    DatasetError
        If a folder or a mask is missing.
    """
    return read_masks(root, splits, tags_of, CLASSES, label_folder="masks", label_suffix=".bmp", encoding="suim")
