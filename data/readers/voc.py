"""Reader of PASCAL VOC 2012 (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/), with the annotations of SBD.

::

    root/JPEGImages/2007_000032.jpg            root/Annotations/2007_000032.xml
    root/SegmentationClass/2007_000032.png     root/ImageSets/Segmentation/{train,train_aug,val}.txt
    root/SegmentationClassAug/NAME.png         (or) root/../../benchmark_RELEASE/dataset/cls/NAME.mat

`root` is the folder ``VOCdevkit/VOC2012``. The list ``train_aug`` has the usual 10,582 training images: VOC's
train and SBD, without VOC's val. If the list is missing, it is built from the lists of VOC and SBD. The tags
come from the XML files. The fine masks are ground truth; a mask in ``SegmentationClass`` comes before one of SBD.
The images of the list ``test`` have neither masks nor tags: they are predicted and not scored.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from data.errors import DatasetError
from data.files.regular_file import read_bytes
from data.files.text_file import read_text
from data.readers.common import required, sorted_index
from data.sample import DatasetIndex, LabelLayer, Sample

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


UNANNOTATED = "test"
"""The list whose annotations only the evaluation server has."""


def read_voc(root: Path, splits: dict[str, str]) -> DatasetIndex:
    """Index VOC 2012; `splits` names lists in ``ImageSets/Segmentation``.

    Raises
    ------
    DatasetError
        If a list, an image, its XML file or its mask is missing, or a class is not one of the 20. The list ``test``
        needs no XML files and no masks.
    """
    samples = []
    for split, name in splits.items():
        for stem in _listed(root, name):
            image = required(root / "JPEGImages" / f"{stem}.jpg", f"the list {name}")
            tags, truth = ((), ()) if name == UNANNOTATED else (_tags(root, stem), (_mask(root, stem),))
            samples.append(Sample(f"{split}/{stem}", split, image, tags, truth=truth))
    return sorted_index(root, CLASSES, samples, splits)


def _listed(root: Path, name: str) -> list[str]:
    """Image names of a list; a missing ``train_aug`` is built from the lists of VOC and SBD."""
    path = root / "ImageSets" / "Segmentation" / f"{name}.txt"
    sbd = _sbd(root)
    if name == "train_aug" and not path.exists() and (sbd / "train.txt").exists():
        both = {stem for part in ("train", "val") for stem in read_text(sbd / f"{part}.txt").split()}
        return sorted((both | set(_listed(root, "train"))) - set(_listed(root, "val")))
    if not path.exists():
        raise DatasetError(
            f"{path}: file is missing; --data-root must name the folder that holds VOCdevkit/VOC2012 and, for "
            "train_aug, SBD's benchmark_RELEASE (without SBD: --IndexDataset-train-folder train)"
        )
    return [line.rsplit("/", 1)[-1].removesuffix(".jpg") for line in read_text(path).split()]


def _sbd(root: Path) -> Path:
    return root.parent.parent / "benchmark_RELEASE" / "dataset"


def _tags(root: Path, stem: str) -> tuple[int, ...]:
    path = root / "Annotations" / f"{stem}.xml"
    content = read_bytes(path)
    try:
        names = {node.findtext("name", "") for node in ElementTree.fromstring(content).iter("object")}
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the last two: encodings that it cannot read
        raise DatasetError(f"{path}: cannot be read ({error}); restore the file, it holds the image's tags") from error
    unknown = names - set(CLASSES[1:])
    if unknown:
        raise DatasetError(f"{path}: class '{min(unknown)}' is not a VOC class; correct the name")
    return tuple(sorted(CLASSES.index(name) for name in names))


def _mask(root: Path, stem: str) -> LabelLayer:
    for folder in ("SegmentationClass", "SegmentationClassAug"):
        path = root / folder / f"{stem}.png"
        if path.exists():
            return LabelLayer(path)
    path = _sbd(root) / "cls" / f"{stem}.mat"
    owner = f"image {stem} (no mask in SegmentationClass or SegmentationClassAug)"
    return LabelLayer(required(path, owner), None, "sbd")
