"""Label maps in the formats of other tools."""

from __future__ import annotations

import gzip
import io
import tarfile
import warnings
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from PIL import Image

from data.files.encodings import UNLABELLED_IN_BYTES
from data.files.labels import label_png
from data.sample import BACKGROUND, UNLABELLED


def voc_palette(count: int = 256) -> np.ndarray:
    """The colours of PASCAL VOC for the class numbers 0..count-1, (count, 3) uint8.

    Bits 0, 1 and 2 of the class number are the highest bits of red, green and blue; bits 3, 4 and 5 are the next, ...

    Examples
    --------
    >>> voc_palette()[:4].tolist()
    [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    """
    numbers = np.arange(count)
    colours = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((numbers >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours


def exported_png(labels: np.ndarray, num_classes: int) -> bytes:
    """Label map (H, W) uint16 as a PNG file whose pixels are class numbers.

    Up to 254 foreground classes: 8 bits, shown in VOC's colours, 255 = unlabelled. More: 16 bits, grey, 65535 =
    unlabelled.
    """
    if num_classes >= UNLABELLED_IN_BYTES:
        return label_png(labels)
    values = np.where(labels == UNLABELLED, UNLABELLED_IN_BYTES, labels).astype(np.uint8)
    image = Image.fromarray(values).convert("P")
    image.putpalette(voc_palette().flatten().tolist())
    image.frombytes(values.tobytes())
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def voc_submission(split: str, pngs: Iterable[tuple[str, bytes]]) -> bytes:
    """The archive that the evaluation server of PASCAL VOC takes, a .tar.gz; the same files give the same bytes.

    It holds ``results/VOC2012/Segmentation/comp6_<split>_cls/NAME.png``. In competition 6 any data may be used for
    training, such as pretrained weights.

    Parameters
    ----------
    split : str
        Name of the list, ``test``.
    pngs : iterable of (name, bytes)
        Image name and its file of class numbers (`exported_png`), which must leave no pixel unlabelled.
    """
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for name, content in pngs:
            entry = tarfile.TarInfo(f"results/VOC2012/Segmentation/comp6_{split}_cls/{name}.png")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def class_masks(labels: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(class number, mask (H, W) bool) of each class in a label map, without 0 and unlabelled.

    Examples
    --------
    >>> for class_number, mask in class_masks(np.array([[0, 2], [2, 65535]], np.uint16)):
    ...     print(class_number, mask.tolist())
    2 [[False, True], [True, False]]
    """
    for class_number in np.unique(labels):
        if class_number not in (BACKGROUND, UNLABELLED):
            yield int(class_number), labels == class_number


def run_lengths(mask: np.ndarray) -> dict:
    """Mask (H, W) bool as COCO's compressed run lengths, ready for JSON."""
    from pycocotools import mask as coco_mask

    with warnings.catch_warnings():  # its __array__ is older than NumPy 2
        warnings.simplefilter("ignore", DeprecationWarning)
        encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode("ascii")}


def coco_content(
    class_names: Sequence[str], images: Iterable[tuple[str, np.ndarray]]
) -> dict[str, list[dict[str, object]]]:
    """Content of a COCO file with one annotation per class and image.

    Parameters
    ----------
    class_names : sequence of str
        Number 0 first; it is not a category.
    images : iterable of (file name, label map (H, W) uint16)
        Image ids count from 1.
    """
    listed: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for image_id, (name, labels) in enumerate(images, start=1):
        height, width = labels.shape
        listed.append({"id": image_id, "file_name": name, "height": height, "width": width})
        for class_number, mask in class_masks(labels):
            rows, columns = np.nonzero(mask)
            left, top = int(columns.min()), int(rows.min())
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": class_number,
                    "iscrowd": 0,
                    "area": int(mask.sum()),
                    "bbox": [left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1],
                    "segmentation": run_lengths(mask),
                }
            )
    categories: list[dict[str, object]] = [
        {"id": class_number, "name": name} for class_number, name in enumerate(class_names) if class_number
    ]
    return {"images": listed, "annotations": annotations, "categories": categories}
