"""Layout of array artifacts: images padded to one size, coordinates, shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from data.sample import UNLABELLED, DatasetIndex, Sample
from data.store.sharded import ArraySpec, ShardedStore

SHARD_SIZE = 32
"""Default number of images per shard. With some dozens, there are few files and the memory stays small."""


def padded_size(samples: Sequence[Sample], stride: int = 1) -> tuple[int, int]:
    """Largest height and largest width of the images, in cells of `stride` pixels."""
    height, width = (max(-(-sample.size[axis] // stride) for sample in samples) for axis in (0, 1))
    return height, width


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
    """Layout of an array with one class number per pixel, uint8; 255 = unlabelled, or padding."""
    return image_map(samples, "uint8", UNLABELLED, long_name)


def image_coords(dataset: DatasetIndex, samples: Sequence[Sample]) -> dict:
    """Coordinates of every artifact: height and width of each image in pixels, and the names of the classes."""
    sizes = np.array([sample.size for sample in samples], np.int32)
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
    ids = [sample.image_id for sample in samples]
    return store.create(ids, arrays, description, shard_size, image_coords(dataset, samples))
