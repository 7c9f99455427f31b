"""Data sets by name: one reader per folder layout, and every reader gives the same index of samples."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from data.demo.scenes import render_demo
from data.readers.bop import read_bop
from data.readers.cityscapes import read_cityscapes
from data.readers.coco import read_coco
from data.readers.folder import read_folder
from data.readers.label_maps import read_masks
from data.readers.pannuke import read_pannuke
from data.readers.suim import read_suim
from data.readers.voc import read_voc
from data.sample import EVALUATION, TRAIN, DatasetIndex


@dataclass(frozen=True)
class DatasetSpec:
    """How a data set is found and read.

    Attributes
    ----------
    read : callable
        (root, splits) -> DatasetIndex; (root, splits, tags_of) where `tags_from_masks`.
    folder : str
        Its folder below ``--data-root``.
    splits : dict
        Our split name ("train", "evaluation") -> folder, list or folds, as the reader needs it.
    tags_from_masks : bool
        Image-level tags are the classes of the label maps; ``tags_of`` (LabelLayer -> classes) reads one.
    render : callable or None
        root -> None: renders the data set if it does not exist yet.
    """

    read: Callable[..., DatasetIndex]
    folder: str = ""
    splits: dict[str, str] = field(default_factory=dict)
    tags_from_masks: bool = False
    render: Callable[[Path], None] | None = None


CAMVID = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "cyclist")

DATASETS: dict[str, DatasetSpec] = {
    "demo": DatasetSpec(read_bop, splits={TRAIN: "train_pbr", EVALUATION: "test"}, render=render_demo),
    "folder": DatasetSpec(read_folder),
    # BOP layout, https://bop.felk.cvut.cz
    "hope": DatasetSpec(read_bop, folder="hope", splits={TRAIN: "onboarding_static", EVALUATION: "val"}),
    "ycbv": DatasetSpec(read_bop, folder="ycbv", splits={TRAIN: "train_real", EVALUATION: "test"}),
    "lmo": DatasetSpec(read_bop, folder="lmo", splits={TRAIN: "train_pbr", EVALUATION: "test"}),
    "tless": DatasetSpec(read_bop, folder="tless", splits={TRAIN: "train_primesense", EVALUATION: "test_primesense"}),
    "bop": DatasetSpec(read_bop, splits={TRAIN: "train_pbr", EVALUATION: "test"}),
    # images and label maps
    "camvid": DatasetSpec(
        functools.partial(read_masks, names=CAMVID),
        folder="camvid",
        splits={TRAIN: "train", EVALUATION: "val"},
        tags_from_masks=True,
    ),
    "voc": DatasetSpec(read_voc, folder="VOCdevkit/VOC2012", splits={TRAIN: "train_aug", EVALUATION: "val"}),
    "coco": DatasetSpec(read_coco, folder="coco", splits={TRAIN: "train2014", EVALUATION: "val2014"}),
    "cityscapes": DatasetSpec(
        read_cityscapes, folder="cityscapes", splits={TRAIN: "train", EVALUATION: "val"}, tags_from_masks=True
    ),
    "suim": DatasetSpec(
        read_suim, folder="SUIM", splits={TRAIN: "train_val", EVALUATION: "TEST"}, tags_from_masks=True
    ),
    "pannuke": DatasetSpec(
        read_pannuke, folder="pannuke", splits={TRAIN: "1,2", EVALUATION: "3"}, tags_from_masks=True
    ),
}
"""Name of a data set (``--dataset``) -> how it is read."""
