"""Label maps: ground truth and coarse annotation of a sample, and PNG files of label maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.errors import ImageError
from data.files.encodings import ENCODINGS, UNLABELLED_IN_BYTES, plain, read_label_values
from data.files.png import png_bytes
from data.files.working_size import UNKNOWN, fitted, full_size, size_in_files
from data.sample import BACKGROUND, UNLABELLED, LabelLayer, Sample


def label_png(labels: np.ndarray) -> bytes:
    """Label map (H, W) uint16 as a grey PNG file of class numbers, 16 bits."""
    return png_bytes(labels)


def read_labels(path: Path) -> np.ndarray:
    """Label map from a file that `label_png` made, (H, W) uint16.

    Raises
    ------
    ImageError
        If the file is missing or cannot be decoded.
    """
    return read_label_values(path).astype(np.uint16)


def read_truth(sample: Sample, num_classes: int) -> np.ndarray | None:
    """Ground-truth label map, (H, W) uint16: 0 background, 1..K, 65535 ignored; None if there is none.

    It is for scores and pictures; ``tests/pipeline/test_ground_truth.py`` lists who calls it and why.

    Raises
    ------
    ImageError
        If a file cannot be decoded, differs in size from the image, or holds an unknown class.
    """
    return read_layers(sample, sample.truth, num_classes) if sample.truth else None


def read_layers(sample: Sample, layers: Sequence[LabelLayer], num_classes: int) -> np.ndarray:
    """Label map of a sample at its working size, (H, W) uint16; later layers cover earlier ones.

    In a label map of 8 bits, 255 means unlabelled. In one of 16 bits, 65535 does, and 255 if it is no class (K < 255).

    Raises
    ------
    ImageError
        As `read_truth`.
    """
    shape = full_size(sample) if sample.size == UNKNOWN else sample.size
    drawn = size_in_files(sample) if any(layer.encoding for layer in layers) else shape  # polygons have the full size
    labels = np.full(shape, BACKGROUND, np.uint16)
    for layer in layers:
        mask = fitted(decode_labels(layer, drawn), sample)
        if mask.shape != shape:
            raise ImageError(
                f"{layer.path}: mask has shape {mask.shape}, but image {sample.image_id} has {shape}; "
                "give both the same size"
            )
        if layer.class_index is not None:
            labels[mask > 0] = layer.class_index
            continue
        labels = np.where(mask == unlabelled_in_files(num_classes), np.uint16(UNLABELLED), mask)
        check_classes(layer, labels, num_classes)
    return labels


def unlabelled_in_files(num_classes: int) -> int:
    """Value for pixels without a label in the label maps of a set with K foreground classes: 255 if it is no class."""
    return UNLABELLED_IN_BYTES if num_classes < UNLABELLED_IN_BYTES else UNLABELLED


def check_classes(layer: LabelLayer, classes: np.ndarray, num_classes: int) -> None:
    """Do nothing if all class numbers of a label file are 0..K or unlabelled; else raise ImageError."""
    unknown = classes[(classes > num_classes) & (classes != UNLABELLED)]
    if unknown.size:
        raise ImageError(
            f"{layer.path}: class number {unknown.min()} is unknown; "
            f"use 0..{num_classes} or {unlabelled_in_files(num_classes)}"
        )


def decode_labels(layer: LabelLayer, shape: tuple[int, int]) -> np.ndarray:
    """Content of a label file: class numbers of a label map, (H, W) uint16, or a mask that is not 0 inside.

    Parameters
    ----------
    layer : LabelLayer
    shape : (int, int)
        Height and width of the image; encodings that draw polygons need it.

    Raises
    ------
    ImageError
        If a file cannot be decoded, or is not a label map of 8 or 16 bits.
    """
    if layer.encoding:
        return ENCODINGS[layer.encoding](layer.path, layer.member, shape)
    return read_label_values(layer.path) if layer.class_index is not None else plain(layer.path)
