"""Label maps in the formats that other tools open."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from PIL import Image

from data.sample import UNLABELLED


def voc_palette() -> np.ndarray:
    """The 256 colours of PASCAL VOC, (256, 3) uint8: three bits of the number for each bit plane of a channel."""
    numbers = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((numbers >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours


def indexed_png(labels: np.ndarray) -> bytes:
    """Label map (H, W) uint8 as a PNG file whose pixels are class numbers, shown in VOC's colours."""
    image = Image.fromarray(labels).convert("P")
    image.putpalette(voc_palette().flatten().tolist())
    image.frombytes(np.ascontiguousarray(labels).tobytes())
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def class_masks(labels: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(class, mask (H, W) bool) of each class of a label map but 0 and unlabelled."""
    for number in np.unique(labels):
        if number not in (0, UNLABELLED):
            yield int(number), labels == number


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
    """A COCO file's content: one annotation a class and image.

    Parameters
    ----------
    class_names : sequence of str
        Number 0 first; it is no category.
    images : iterable of (file name, label map (H, W) uint8)
    """
    listed: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, (name, labels) in enumerate(images, start=1):
        height, width = labels.shape
        listed.append({"id": number, "file_name": name, "height": height, "width": width})
        for label, mask in class_masks(labels):
            rows, columns = np.nonzero(mask)
            left, top = int(columns.min()), int(rows.min())
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": label,
                    "iscrowd": 0,
                    "area": int(mask.sum()),
                    "bbox": [left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1],
                    "segmentation": run_lengths(mask),
                }
            )
    categories: list[dict[str, object]] = [
        {"id": number, "name": name} for number, name in enumerate(class_names) if number
    ]
    return {"images": listed, "annotations": annotations, "categories": categories}
