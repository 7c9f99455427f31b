"""Depth maps in a separate folder, for data sets that have no depth of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.errors import ImageError
from data.files.images import read_depth_image
from data.files.pixels import open_array
from data.files.working_size import fitted
from data.sample import Sample

SUFFIXES = (".png", ".npy")


def depth_file(folder: Path, sample: Sample) -> Path:
    """Depth map of a sample: ``<folder>/<image id>.png`` or ``.npy``.

    Raises
    ------
    ImageError
        If neither file exists.
    """
    for suffix in SUFFIXES:
        path = folder / f"{sample.image_id}{suffix}"
        if path.is_file():
            return path
    raise ImageError(
        f"{folder / sample.image_id}.png: file is missing, and there is no .npy file either; "
        f"add the depth map of {sample.image_id} to the folder"
    )


def read_depth_file(path: Path, sample: Sample, unit: float) -> np.ndarray:
    """Depth of one sample, (H, W) float32 in metres; 0 where nothing was measured.

    Parameters
    ----------
    path : Path
        16-bit PNG, or npy of floats in metres. There, values that are not finite mean that nothing was measured.
    sample : Sample
    unit : float
        Metres per count of the PNG.

    Raises
    ------
    ImageError
        If the file cannot be read, is not one channel of the image's size, or holds no depth at all; or an npy file
        holds whole numbers, which are hardly metres, or negative ones.
    """
    if path.suffix == ".npy":
        stored = open_array(path)
        if stored.dtype.kind != "f":
            raise ImageError(f"{path}: holds values of type {stored.dtype}; write metres as float32")
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite: not measured
            depth = np.nan_to_num(stored.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        if depth.min(initial=0) < 0:
            raise ImageError(f"{path}: has the negative depth {depth.min():.3g} m; write 0 for no measurement")
    else:
        depth = read_depth_image(path, sample.image_id, unit)
    depth = fitted(depth, sample)
    if depth.shape != sample.size:
        raise ImageError(
            f"{path}: depth has shape {depth.shape}, but image {sample.image_id} has {sample.size}; "
            "register the depth to the image"
        )
    if not depth.any():
        raise ImageError(f"{path}: depth of {sample.image_id} is zero everywhere; replace the file")
    return depth
