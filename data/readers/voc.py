"""Reader of PASCAL VOC 2012 (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/), with SBD's further annotations.

::

    root/JPEGImages/2007_000032.jpg            root/Annotations/2007_000032.xml
    root/SegmentationClass/2007_000032.png     root/ImageSets/Segmentation/{train,train_aug,val}.txt
    root/SegmentationClassAug/NAME.png         (or) root/../../benchmark_RELEASE/dataset/cls/NAME.mat

with root the folder ``VOCdevkit/VOC2012``. ``train_aug`` has the 10,582 images on which the field trains,
VOC's train and SBD without VOC's val; where its list is missing it is made of theirs. Tags come from the XML
files; the fine masks are ground truth, those of ``SegmentationClass`` before those of SBD.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from data.errors import DatasetError
from data.readers.label_maps import ordered, required
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
        for stem in _listed(root, name):
            image = required(root / "JPEGImages" / f"{stem}.jpg", f"the list {name}")
            tags = _tags(root / "Annotations" / f"{stem}.xml")
            samples.append(Sample(f"{split}/{stem}", split, image, tags, truth=(_mask(root, stem),)))
    return ordered(root, CLASSES, samples)


def _listed(root: Path, name: str) -> list[str]:
    """Image names of a list; ``train_aug`` is made of VOC's and SBD's own lists where it is not there."""
    path = root / "ImageSets" / "Segmentation" / f"{name}.txt"
    sbd = _sbd(root)
    if name == "train_aug" and not path.exists() and (sbd / "train.txt").exists():
        both = {stem for part in ("train", "val") for stem in (sbd / f"{part}.txt").read_text().split()}
        return sorted((both | set(_listed(root, "train"))) - set(_listed(root, "val")))
    if not path.exists():
        raise DatasetError(
            f"{path}: file is missing; --data-root must name the folder that holds VOCdevkit/VOC2012 and, for "
            "train_aug, SBD's benchmark_RELEASE (--IndexDataset-train-folder train does without)"
        )
    return [line.rsplit("/", 1)[-1].removesuffix(".jpg") for line in path.read_text().split()]


def _sbd(root: Path) -> Path:
    return root.parent.parent / "benchmark_RELEASE" / "dataset"


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
    path = _sbd(root) / "cls" / f"{stem}.mat"
    return LabelLayer(
        required(path, f"image {stem} (no mask in SegmentationClass or SegmentationClassAug)"), None, "sbd"
    )
