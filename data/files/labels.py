"""Label maps: ground truth and coarse annotation of a sample, and PNG files of label maps."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from data.errors import ImageError
from data.files.encodings import ENCODINGS
from data.files.pixels import image_size, read_file
from data.sample import BACKGROUND, UNLABELLED, LabelLayer, Sample


def label_png(labels: np.ndarray) -> bytes:
    """Label map (H, W) uint8 as a PNG file of class numbers."""
    file = io.BytesIO()
    Image.fromarray(labels).save(file, "PNG")
    return file.getvalue()


def read_labels(path: Path) -> np.ndarray:
    """Label map from a PNG file of class numbers, (H, W) uint8.

    Raises
    ------
    ImageError
        If the file is missing or cannot be decoded.
    """
    return read_file(path)


def read_truth(sample: Sample, num_classes: int) -> np.ndarray | None:
    """Ground-truth label map, (H, W) uint8: 0 background, 1..K, 255 ignored; None if there is none.

    Only scoring and pictures of the ground truth may call this; no training stage does
    (``tests/pipeline/test_ground_truth.py``).

    Raises
    ------
    ImageError
        If a file cannot be decoded, differs in size from the image, or holds an unknown class.
    """
    return read_layers(sample, sample.truth, num_classes) if sample.truth else None


def read_layers(sample: Sample, layers: Sequence[LabelLayer], num_classes: int) -> np.ndarray:
    """Label map of an image from its label files, (H, W) uint8; later layers cover earlier ones.

    Raises
    ------
    ImageError
        As `read_truth`.
    """
    shape = image_size(sample.image)
    labels = np.full(shape, BACKGROUND, np.uint8)
    for layer in layers:
        mask = decode_labels(layer, shape)
        if mask.shape != shape:
            raise ImageError(
                f"{layer.path}: mask has shape {mask.shape}, but image {sample.image_id} has {shape}; "
                "give both the same size"
            )
        if layer.class_index is not None:
            labels[mask > 0] = layer.class_index
            continue
        unknown = np.setdiff1d(mask, [*range(num_classes + 1), UNLABELLED])
        if unknown.size:
            raise ImageError(
                f"{layer.path}: class number {unknown[0]} is unknown; use 0..{num_classes} or {UNLABELLED}"
            )
        labels = mask.astype(np.uint8)
    return labels


def decode_labels(layer: LabelLayer, shape: tuple[int, int]) -> np.ndarray:
    """Content of a label file, (H, W): class numbers of a label map, or a mask that is not 0 inside.

    Parameters
    ----------
    layer : LabelLayer
    shape : (int, int)
        Height and width of the image; encodings that draw polygons need it.
    """
    if layer.encoding:
        return ENCODINGS[layer.encoding](layer.path, layer.member, shape)
    return read_file(layer.path)
