"""Reader of Cityscapes (https://www.cityscapes-dataset.com), fine and coarse annotations.

::

    root/leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png
    root/gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png
    root/gtCoarse/train/aachen/aachen_000000_000019_gtCoarse_labelIds.png    (optional)

There are 19 evaluated classes and no background; class 0 is road. The tags are the classes of the fine mask.
"""

from __future__ import annotations

from pathlib import Path

from data.errors import DatasetError
from data.readers.common import required, root_hint, sorted_index
from data.readers.label_maps import TagsOf, with_tags
from data.sample import DatasetIndex, LabelLayer, Sample

CLASSES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip


def read_cityscapes(root: Path, splits: dict[str, str], tags_of: TagsOf) -> DatasetIndex:
    """Index Cityscapes.

    Raises
    ------
    DatasetError
        If ``leftImg8bit`` has no images of a split, or an image has no fine mask.
    """
    samples = []
    for split, folder in splits.items():
        images = sorted((root / "leftImg8bit" / folder).glob("*/*_leftImg8bit.png"))
        if not images:
            raise DatasetError(
                f"{root / 'leftImg8bit' / folder}: has no images CITY/*_leftImg8bit.png; {root_hint(root)}"
            )
        for image in images:
            stem = f"{image.parent.name}/{image.name.removesuffix('_leftImg8bit.png')}"
            fine = required(root / "gtFine" / folder / f"{stem}_gtFine_labelIds.png", image.name)
            coarse = root / "gtCoarse" / folder / f"{stem}_gtCoarse_labelIds.png"
            samples.append(
                Sample(
                    image_id=f"{folder}/{stem}",
                    split=split,
                    image=image,
                    tags=(),
                    truth=(LabelLayer(fine, None, "cityscapes"),),
                    coarse=(LabelLayer(coarse, None, "cityscapes"),) if coarse.exists() else (),
                )
            )
    return sorted_index(root, CLASSES, with_tags(samples, tags_of, len(CLASSES) - 1), splits)
