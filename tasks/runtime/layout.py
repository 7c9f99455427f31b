"""Layout of array artifacts: images padded to one size, coordinates, shards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from data.sample import UNLABELLED, DatasetIndex, Sample, Samples
from data.store.sharded import ShardedStore
from data.store.tiles import SHARD_BYTES, ArraySpec

SHARD_SIZE = 32
"""Largest number of images in a shard. With some dozens, there are few files, and little is lost if a run is killed."""

LARGEST_CROP = 2**20
"""Pixels of the largest training crop that is chosen without `crop_size`; a frame of 1280x800 has fewer."""

FAR = 3.0
"""A frame is unusual if its longer or its shorter side is this many times the median, or this part of it."""


def sizes_of(samples: Sequence[Sample]) -> np.ndarray:
    """Height and width of each image in pixels, (N, 2) int64."""
    found = samples.sizes if isinstance(samples, Samples) else [sample.size for sample in samples]
    return np.asarray(found, np.int64).reshape(-1, 2)


def padded_size(samples: Sequence[Sample], stride: int = 1) -> tuple[int, int]:
    """Largest height and largest width of the images, in cells of `stride` pixels."""
    height, width = (-(-sizes_of(samples) // stride)).max(axis=0, initial=0) if len(samples) else (1, 1)
    return int(height), int(width)


def unusual(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Frames whose size is far from that of most others (`FAR`): the larger ones, and the smaller ones.

    Examples
    --------
    >>> from pathlib import Path
    >>> frames = [Sample(f"{w}x{h}", "train", Path(), (), size=(h, w)) for w, h in [(640, 480)] * 3 + [(4000, 3000)]]
    >>> [[frame.image_id for frame in found] for found in unusual(frames)]
    [['4000x3000'], []]
    """
    if not samples:
        return [], []
    large, small = _far(sizes_of(samples))
    large_places, small_places = (np.flatnonzero(found).tolist() for found in (large, small))
    return [samples[place] for place in large_places], [samples[place] for place in small_places]


def _far(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which frames are larger and which are smaller than usual, (N,) bool each."""
    sides = np.sort(sizes, axis=1)
    sides = sides / np.median(sides, axis=0)
    large = (sides > FAR).any(1)
    return large, (sides < 1 / FAR).any(1) & ~large


def training_crop(samples: Sequence[Sample], least_side: int = 0) -> tuple[int, int]:
    """Height and width of the crop that holds every frame, except the unusually large ones, in at most `LARGEST_CROP`.

    Frames that are larger are scaled down to fit (`tasks.runtime.augmentation.Augmentation`).

    Parameters
    ----------
    samples : sequence of Sample
    least_side : int
        Frames whose longer side has fewer pixels are enlarged to this length first.
    """
    sizes = sizes_of(samples)
    usual = sizes[~_far(sizes)[0]]
    scale = np.maximum(1.0, least_side / usual.max(axis=1, keepdims=True, initial=1))
    height, width = np.rint(usual * scale).astype(np.int64).max(axis=0, initial=1)
    factor = min(1.0, math.sqrt(LARGEST_CROP / (height * width)))
    return max(1, int(height * factor)), max(1, int(width * factor))


def images_per_shard(image_bytes: np.ndarray, most: int) -> int:
    """Number of images in a shard: the largest for which the images of every shard take at most `SHARD_BYTES`.

    The largest image of each shard counts as a usual one. Otherwise a single large image among many would leave one
    image for each shard. So a shard takes at most `SHARD_BYTES` and its largest image.

    Parameters
    ----------
    image_bytes : ndarray, (N,), float
        What each image takes in memory.
    most : int
        Upper limit.

    Examples
    --------
    >>> images_per_shard(np.full(100, 4e6), 32), images_per_shard(np.array([1e6] * 99 + [300e6]), 32)
    (16, 32)
    """
    usual = np.median(image_bytes)
    for count in range(min(most, len(image_bytes)), 1, -1):
        starts = np.arange(0, len(image_bytes), count)
        others = np.add.reduceat(image_bytes, starts) - np.maximum.reduceat(image_bytes, starts)
        if others.max() + usual <= SHARD_BYTES:
            return count
    return 1


def image_map(
    samples: Sequence[Sample], dtype: str, fill: float, long_name: str, units: str = "", stride: int = 1
) -> ArraySpec:
    """Layout of an array with one value per pixel, or per cell of `stride` pixels.

    Parameters
    ----------
    samples : sequence of Sample
        All images of the artifact; their largest size is the size of the layout.
    dtype : str
    fill : float
        Value of the padding.
    long_name, units : str
        Attributes that xarray shows; empty units are left out.
    stride : int
        Pixels per cell.
    """
    attrs = {**({"units": units} if units else {}), "long_name": long_name}
    return ArraySpec(("y", "x"), padded_size(samples, stride), dtype, fill, attrs, stride)


def label_map(samples: Sequence[Sample], long_name: str) -> ArraySpec:
    """Layout of an array with one class number per pixel, uint16; 65535 = unlabelled, or padding."""
    return image_map(samples, "uint16", UNLABELLED, long_name)


def image_coords(dataset: DatasetIndex, samples: Sequence[Sample]) -> dict:
    """Coordinates of every artifact: height and width of each image in pixels, and the names of the classes."""
    sizes = sizes_of(samples).astype(np.int32)
    return {
        "height": (("image_id",), sizes[:, 0]),
        "width": (("image_id",), sizes[:, 1]),
        "class_name": (("class",), np.array(dataset.class_names)),
    }


def create_store(
    store: ShardedStore,
    dataset: DatasetIndex,
    samples: Sequence[Sample],
    arrays: Mapping[str, ArraySpec],
    description: Mapping[str, object],
    shard_size: int,
) -> ShardedStore:
    """Create the arrays of an artifact over `samples`, or continue with those that an interrupted run left."""
    ids = samples.ids if isinstance(samples, Samples) else [sample.image_id for sample in samples]
    return store.create(ids, arrays, description, shard_size, image_coords(dataset, samples))
