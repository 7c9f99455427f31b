"""Reader of SUIM, underwater images (https://irvlab.cs.umn.edu/resources/suim-dataset).

::

    root/train_val/images/d_r_47_.jpg    root/train_val/masks/d_r_47_.bmp
    root/TEST/images/d_r_1_.jpg          root/TEST/masks/d_r_1_.bmp
"""

from __future__ import annotations

from pathlib import Path

from data.readers.label_maps import TagsOf, images_in, ordered, required, with_tags
from data.sample import DatasetIndex, LabelLayer, Sample

CLASSES = ("water", "diver", "plant", "wreck", "robot", "reef", "fish", "sea floor")


def read_suim(root: Path, splits: dict[str, str], tags_of: TagsOf) -> DatasetIndex:
    """Index SUIM.

    Raises
    ------
    DatasetError
        If a folder or a mask is missing.
    """
    samples = []
    for split, folder in splits.items():
        for image in images_in(root / folder / "images"):
            truth = LabelLayer(required(root / folder / "masks" / f"{image.stem}.bmp", image.name), None, "suim")
            samples.append(Sample(f"{folder}/{image.stem}", split, image, (), truth=(truth,)))
    return ordered(root, CLASSES, with_tags(samples, tags_of))
