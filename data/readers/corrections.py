"""Corrected label maps beside a data set: ``corrections/NAME.png`` in its folder, for some of its training images.

They are labels to learn from. So they have a folder of their own: ``masks/`` is ground truth, for scores alone, and
no mask becomes a label because a set happens to have it.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np

from data.errors import DatasetError, ImageError
from data.files.labels import read_layers
from data.sample import TRAIN, UNLABELLED, LabelLayer, Sample

CORRECTIONS = "corrections"
"""Name of the folder in that of the data set."""


def correction_file(root: Path, image_id: str) -> Path | None:
    """The corrected label map of a training image; None if there is none.

    It is ``<root>/corrections/<image id>.png``, as ExportLabels names it, with or without the first part ``train/``.
    """
    for name in (image_id, image_id.removeprefix(f"{TRAIN}/")):
        path = root / CORRECTIONS / f"{name}.png"
        if path.is_file():
            return path
    return None


def list_corrections(root: Path, image_ids: Collection[str]) -> dict[str, Path]:
    """The corrected label maps of a data set: image id -> file, in the order of the ids.

    Parameters
    ----------
    root : Path
        Folder of the data set.
    image_ids : collection of str
        Ids of the training images.

    Raises
    ------
    DatasetError
        If a PNG file in the folder belongs to no training image.
    """
    folder = root / CORRECTIONS
    if not folder.is_dir():
        return {}
    files = {
        Path(place, name) for place, _, names in os.walk(folder) for name in names if name.lower().endswith(".png")
    }
    found = {image_id: path for image_id in image_ids if files and (path := correction_file(root, image_id))}
    idle = files - set(found.values())
    if idle:
        raise DatasetError(
            f"{min(idle)}: belongs to no training image; a correction has the name of its image, such as "
            f"{CORRECTIONS}/NAME.png for images/NAME.jpg"
        )
    return found


def read_correction(path: Path, sample: Sample, num_classes: int) -> np.ndarray:
    """A corrected label map, (H, W) uint16: 0 background, 1..K, 65535 unlabelled.

    Raises
    ------
    ImageError
        As `read_layers`, and if it shows a class that is no tag of the image: the classifier was told otherwise.
    """
    labels = read_layers(sample, (LabelLayer(path),), num_classes)
    unknown = set(np.unique(labels).tolist()) - {0, UNLABELLED, *sample.tags}
    if unknown:
        raise ImageError(
            f"{path}: shows the class number {min(unknown)}, which is no tag of {sample.image_id}; add the tag to the "
            "image, or take the class out of the label map"
        )
    return labels
