"""Data sets by name, and what is on disk: readers, depth cleaning, the artifact store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from data.bop import read_bop
from data.folder import read_folder
from data.sample import EVALUATION, TRAIN, DatasetIndex
from data.synthetic import render_demo


@dataclass(frozen=True)
class DatasetSpec:
    """How a data set is found and read.

    Attributes
    ----------
    read : callable
        (root, splits) -> DatasetIndex.
    folder : str
        Its folder under ``--data-root``.
    splits : dict
        Split name -> folder, for the readers that need it.
    render : callable or None
        root -> None: makes the data set where it does not yet exist.
    """

    read: Callable[[Path, dict[str, str]], DatasetIndex]
    folder: str = ""
    splits: dict[str, str] = field(default_factory=dict)
    render: Callable[[Path], None] | None = None


ONBOARDING = {TRAIN: "onboarding_static", EVALUATION: "val"}

DATASETS = {
    "demo": DatasetSpec(read_bop, splits={TRAIN: "train_pbr", EVALUATION: "test"}, render=render_demo),
    "folder": DatasetSpec(read_folder),
    "hope": DatasetSpec(read_bop, folder="hope", splits=ONBOARDING),
    "bop": DatasetSpec(read_bop, splits={TRAIN: "train_pbr", EVALUATION: "test"}),
}
