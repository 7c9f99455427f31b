"""Reader of PASCAL VOC 2012 (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/), with SBD's further annotations.

::

    root/JPEGImages/2007_000032.jpg            root/Annotations/2007_000032.xml
    root/SegmentationClass/2007_000032.png     root/ImageSets/Segmentation/{train,train_aug,val}.txt
    root/SegmentationClassAug/NAME.png         (or) root/../../benchmark_RELEASE/dataset/cls/NAME.mat

with root the folder ``VOCdevkit/VOC2012``. ``train_aug`` has the 10,582 images on which the field trains;
its list comes with SBD's distributions, not with VOC. Tags come from the XML files; the fine masks are
ground truth, those of ``SegmentationClass`` before those of SBD.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from data.errors import DatasetError
from data.masks import ordered, required
from data.sample import DatasetIndex, LabelLayer, Sample

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


def read_voc(root: Path, splits: dict[str, str]) -> DatasetIndex:
    """Index VOC 2012; `splits` names lists in ``ImageSets/Segmentation``.

    Raises
    ------
    DatasetError
        If a list, an image, its XML file or its mask is missing, or a class is none of the 20.
    """
    samples = []
    for split, name in splits.items():
        listing = root / "ImageSets" / "Segmentation" / f"{name}.txt"
        if not listing.exists():
            raise DatasetError(
                f"{listing}: file is missing; --data-root must name the folder that holds VOCdevkit/VOC2012, and "
                "train_aug.txt comes with SBD (--IndexDataset-train_folder train does without)"
            )
        for stem in listing.read_text().split():
            stem = stem.rsplit("/", 1)[-1].removesuffix(".jpg")
            image = required(root / "JPEGImages" / f"{stem}.jpg", listing.name)
            tags = _tags(root / "Annotations" / f"{stem}.xml")
            samples.append(Sample(f"{split}/{stem}", split, image, tags, truth=(_mask(root, stem),)))
    return ordered(root, CLASSES, samples)


def _tags(path: Path) -> tuple[int, ...]:
    try:
        names = {node.findtext("name", "") for node in ElementTree.parse(path).iter("object")}
    except (OSError, ElementTree.ParseError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); the image's tags stand there") from error
    unknown = names - set(CLASSES[1:])
    if unknown:
        raise DatasetError(f"{path}: class '{min(unknown)}' is none of VOC's")
    return tuple(sorted(CLASSES.index(name) for name in names))


def _mask(root: Path, stem: str) -> LabelLayer:
    for folder in ("SegmentationClass", "SegmentationClassAug"):
        path = root / folder / f"{stem}.png"
        if path.exists():
            return LabelLayer(path)
    path = root.parent.parent / "benchmark_RELEASE" / "dataset" / "cls" / f"{stem}.mat"
    return LabelLayer(
        required(path, f"image {stem} (no mask in SegmentationClass or SegmentationClassAug)"), None, "sbd"
    )
