"""Reader of PanNuke, cell nuclei (https://warwick.ac.uk/fac/cross_fac/tia/data/pannuke).

::

    root/fold1/images/fold1/images.npy    (N, 256, 256, 3) RGB, 0..255
    root/fold1/masks/fold1/masks.npy      (N, 256, 256, 6) instance numbers of five cell types, and background

The other folds look the same; their folders are called ``fold1``, ``Fold 1`` or ``fold_1``.
"""

from __future__ import annotations

from pathlib import Path

from data.errors import DatasetError
from data.files.pixels import open_array
from data.readers.common import root_hint, sorted_index
from data.readers.label_maps import TagsOf, with_tags
from data.sample import DatasetIndex, LabelLayer, Sample

CLASSES = ("background", "neoplastic", "inflammatory", "connective", "dead", "epithelial")


def read_pannuke(root: Path, splits: dict[str, str], tags_of: TagsOf) -> DatasetIndex:
    """Index PanNuke; `splits` names folds, such as ``1,2``.

    Raises
    ------
    DatasetError
        If a fold is missing or its arrays differ in length.
    """
    samples = []
    for split, folds in splits.items():
        for fold in folds.split(","):
            images, masks = (_array(root, fold, kind) for kind in ("images", "masks"))
            counts = [len(open_array(path)) for path in (images, masks)]
            if counts[0] != counts[1]:
                raise DatasetError(f"{masks}: has {counts[1]} masks for {counts[0]} images; download the fold again")
            for index in range(counts[0]):
                truth = LabelLayer(masks / str(index), None, "pannuke")
                samples.append(Sample(f"fold{fold}/{index:06d}", split, images / str(index), (), truth=(truth,)))
    return sorted_index(root, CLASSES, with_tags(samples, tags_of, len(CLASSES) - 1), splits)


def _array(root: Path, fold: str, kind: str) -> Path:
    for folder in (f"fold{fold}", f"Fold {fold}", f"fold_{fold}"):
        path = root / folder / kind / f"fold{fold}" / f"{kind}.npy"
        if path.exists():
            return path
    raise DatasetError(f"{root}/fold{fold}/{kind}/fold{fold}/{kind}.npy: file is missing; {root_hint(root)}")
