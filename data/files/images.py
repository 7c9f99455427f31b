"""RGB images, raw depth and saliency maps of a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.errors import ImageError
from data.files.pixels import image_size, read_file
from data.sample import Sample


def read_image(path: Path) -> np.ndarray:
    """RGB image, (H, W, 3) uint8.

    Raises
    ------
    ImageError
        If the file is missing, truncated or not an image.
    """
    return read_file(path, "RGB")


def read_depth(sample: Sample) -> np.ndarray:
    """Depth as stored, (H, W) float32 in metres; 0 where the sensor measured nothing.

    Raises
    ------
    ImageError
        If the file cannot be decoded, has more than one channel, or holds no depth at all.
    """
    if sample.depth is None:
        raise ImageError(f"{sample.image_id}: has no depth file; add one")
    return read_depth_image(sample.depth, sample.image_id, sample.depth_unit)


def read_depth_image(path: Path, image_id: str, unit: float) -> np.ndarray:
    """Depth from a 16-bit image of `unit` metres per count, (H, W) float32 in metres; raises as `read_depth`."""
    raw = read_file(path)
    if raw.ndim != 2:
        raise ImageError(f"{path}: depth must have one channel, got shape {raw.shape}; convert it to 16 bits")
    if not raw.any():
        raise ImageError(
            f"{path}: depth of {image_id} is zero everywhere; replace the file or take the image out of the data set"
        )
    return raw.astype(np.float32) * np.float32(unit)


def read_saliency(path: Path, sample: Sample) -> np.ndarray:
    """Saliency of an image from an 8-bit file, (H, W) float32 in [0, 1].

    Raises
    ------
    ImageError
        If the file is missing, cannot be decoded or differs in size from the image.
    """
    saliency = read_file(path, "L")
    shape = image_size(sample.image)
    if saliency.shape != shape:
        raise ImageError(
            f"{path}: saliency has shape {saliency.shape}, but image {sample.image_id} has {shape}; "
            "give both the same size"
        )
    return saliency.astype(np.float32) / 255
