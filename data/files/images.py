"""RGB images, raw depth and saliency maps of a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.errors import ImageError
from data.files.pixels import GREY_16, image_size, read_colours, read_values
from data.files.working_size import fitted
from data.sample import Sample


def read_image(path: Path) -> np.ndarray:
    """RGB image as a viewer shows it, (H, W, 3) uint8.

    It is turned as its EXIF orientation says. So depth, masks and saliency maps must have the size of the turned image,
    and they must be turned themselves. Transparency is left out. 16-bit grey values are scaled to 8 bits.

    Raises
    ------
    ImageError
        If the file is missing, truncated or not an image, or if the range of its values is unknown (`read_colours`).
    """
    return read_colours(path)


def read_depth(sample: Sample) -> np.ndarray:
    """Depth of a sample at its working size, (H, W) float32 in metres; 0 where the sensor measured nothing.

    Raises
    ------
    ImageError
        If the file cannot be decoded, is no depth map of 16 or 32 bits, or holds no depth at all.
    """
    if sample.depth is None:
        raise ImageError(f"{sample.image_id}: has no depth file; add one")
    return fitted(read_depth_image(sample.depth, sample.image_id, sample.depth_unit), sample)


def read_depth_image(path: Path, image_id: str, unit: float) -> np.ndarray:
    """Depth from an image of whole numbers, (H, W) float32 in metres; raises as `read_depth`.

    Parameters
    ----------
    path : Path
        PNG or TIFF with one channel of 16 or 32 bits. 8 bits are too few for depth. The unit of floats is unknown.
    image_id : str
    unit : float
        Metres per count.
    """
    advice = (
        "depth needs one channel of 16 bits: write a 16-bit PNG in millimetres, or use .npy files in metres "
        "(--LoadDepth-source files)"
    )
    raw = read_values(path, (*GREY_16, "I"), advice)
    if raw.min() < 0:
        raise ImageError(f"{path}: depth of {image_id} has the negative value {raw.min()}; write 0 for no measurement")
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
    saliency = fitted(read_colours(path, "L"), sample)
    shape = image_size(sample.image) if sample.size == (0, 0) else sample.size
    if saliency.shape != shape:
        raise ImageError(
            f"{path}: saliency has shape {saliency.shape}, but image {sample.image_id} has {shape}; "
            "give both the same size"
        )
    return saliency.astype(np.float32) / 255
