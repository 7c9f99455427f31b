"""Data sets by name: one reader per folder layout, and every reader gives the same index of samples."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name

from data.errors import DatasetError
from data.readers.common import is_inside
from data.sample import EVALUATION, TRAIN, DatasetIndex

NO_SPLIT = "none"
"""Name of the folder of a split that a data set does not have."""


@dataclass(frozen=True)
class DatasetSpec:
    """How a data set is found and read.

    Attributes
    ----------
    reader : str
        The reader, as ``module:function`` in this package.
    folder : str
        Its folder below ``--data-root``.
    splits : dict
        Our split name ("train", "evaluation") -> folder, list or folds, as the reader needs it.
    tags_from_masks : bool
        Image-level tags are the classes of the label maps; ``tags_of`` (LabelLayer -> classes) reads one.
    files : tuple of str
        Files besides the data set that the reader takes by these names: ``merge``, categories
        (`data.readers.merging`), and ``tags`` (`data.readers.tag_exports`).
    renderer : str
        Import path of what renders the data set if it does not exist yet; empty: it must exist.
    sequence : str
        Regular expression whose first group is the sequence or scene in an image id; empty: images are independent.
    options : dict
        Further keywords of the reader.
    remarks : str
        What else the user should know of a set, as ``module:function`` in this package; empty: nothing.
    """

    reader: str
    folder: str = ""
    splits: dict[str, str] = field(default_factory=dict)
    tags_from_masks: bool = False
    files: tuple[str, ...] = ()
    renderer: str = ""
    sequence: str = ""
    options: dict[str, object] = field(default_factory=dict)
    remarks: str = ""

    def notes(self, root: Path, index: DatasetIndex) -> list[str]:
        """Lines about what the reader left out, for the warnings of a run."""
        return resolve_name(f"{__name__}.{self.remarks}")(root, index) if self.remarks else []

    @property
    def read(self) -> Callable[..., DatasetIndex]:
        """(root, splits) -> DatasetIndex; (root, splits, tags_of) where `tags_from_masks`."""
        return functools.partial(resolve_name(f"{__name__}.{self.reader}"), **self.options)

    def chosen(self, folders: Mapping[str, str]) -> dict[str, str]:
        """The splits to read, where the user may have named others than the usual ones.

        Parameters
        ----------
        folders : mapping
            Split -> its folder, list or folds; empty: the usual one; `NO_SPLIT`: the data set is read without it. The
            reader `folder` does not use them: ``labels.csv`` gives the split of each image.

        Raises
        ------
        DatasetError
            If a name leads out of the data set, or no split is left.
        """
        named = {split: folder for split, folder in folders.items() if folder}
        for split, folder in named.items():
            if not is_inside(folder):
                raise DatasetError(
                    f"--IndexDataset-{split}-folder {folder}: leads out of the data set; name a folder inside it"
                )
        splits = {split: name for split, name in {**self.splits, **named}.items() if name != NO_SPLIT}
        if named and not splits:
            raise DatasetError(f"both splits of the data set are '{NO_SPLIT}'; name the folder of one of them")
        return splits

    @property
    def render(self) -> Callable[[Path], None] | None:
        """root -> None, or None where the data set must exist."""
        return resolve_name(self.renderer) if self.renderer else None


FOLDER = "(.*)/"
"""The sequence of a frame in BOP layout, and the city of an image of Cityscapes: the folder."""

RECORDING = r"(.*)@\d+$"
"""The sequence of a frame of a recording (`data.recordings.project_folder`)."""

RENDERER = "data.demo.scenes:render_demo"
CAMVID = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "cyclist")

DATASETS: dict[str, DatasetSpec] = {
    "demo": DatasetSpec(
        "bop:read_bop",
        splits={TRAIN: "train_pbr", EVALUATION: "test"},
        renderer=RENDERER,
        sequence=FOLDER,
    ),
    "folder": DatasetSpec(
        "folder:read_folder", files=("merge", "tags"), sequence=RECORDING, remarks="unread:unread_files"
    ),
    # BOP layout, https://bop.felk.cvut.cz
    "hope": DatasetSpec(
        "bop:read_bop", folder="hope", splits={TRAIN: "onboarding_static", EVALUATION: "val"}, sequence=FOLDER
    ),
    "ycbv": DatasetSpec(
        "bop:read_bop", folder="ycbv", splits={TRAIN: "train_real", EVALUATION: "test"}, sequence=FOLDER
    ),
    "lmo": DatasetSpec("bop:read_bop", folder="lmo", splits={TRAIN: "train_pbr", EVALUATION: "test"}, sequence=FOLDER),
    "tless": DatasetSpec(
        "bop:read_bop",
        folder="tless",
        splits={TRAIN: "train_primesense", EVALUATION: "test_primesense"},
        sequence=FOLDER,
    ),
    "bop": DatasetSpec("bop:read_bop", splits={TRAIN: "train_pbr", EVALUATION: "test"}, sequence=FOLDER),
    # images and label maps
    "camvid": DatasetSpec(
        "label_maps:read_masks",
        folder="camvid",
        splits={TRAIN: "train", EVALUATION: "val"},
        tags_from_masks=True,
        sequence="(.*)_",
        options={"names": CAMVID},
    ),
    "voc": DatasetSpec("voc:read_voc", folder="VOCdevkit/VOC2012", splits={TRAIN: "train_aug", EVALUATION: "val"}),
    "coco": DatasetSpec(
        "coco:read_coco",
        folder="coco",
        splits={TRAIN: "train2014", EVALUATION: "val2014"},
        remarks="coco:coco_notes",
    ),
    "cityscapes": DatasetSpec(
        "cityscapes:read_cityscapes",
        folder="cityscapes",
        splits={TRAIN: "train", EVALUATION: "val"},
        tags_from_masks=True,
        sequence=FOLDER,
    ),
    "suim": DatasetSpec(
        "suim:read_suim",
        folder="SUIM",
        splits={TRAIN: "train_val", EVALUATION: "TEST"},
        tags_from_masks=True,
    ),
    "pannuke": DatasetSpec(
        "pannuke:read_pannuke",
        folder="pannuke",
        splits={TRAIN: "1,2", EVALUATION: "3"},
        tags_from_masks=True,
    ),
}
"""Name of a data set (``--dataset``) -> how it is read. A new one is a file with its reader, and an entry here."""
