"""How array artifacts are laid out: images padded to one size, coordinates, shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from data.sample import UNLABELLED, DatasetIndex, Sample
from data.store.sharded import ArraySpec, ShardedStore

SHARD_SIZE = 32
"""Images per shard: some dozens keep the files few and the memory small."""


def padded_size(samples: Sequence[Sample], stride: int = 1) -> tuple[int, int]:
    """Height and width that hold every image, in cells of `stride` pixels."""
    height, width = (max(-(-sample.size[axis] // stride) for sample in samples) for axis in (0, 1))
    return height, width


def image_map(
    samples: Sequence[Sample], dtype: str, fill: float, long_name: str, units: str = "", stride: int = 1
) -> ArraySpec:
    """One value per pixel, or per cell of `stride` pixels."""
    attrs = {**({"units": units} if units else {}), "long_name": long_name}
    return ArraySpec(("y", "x"), padded_size(samples, stride), dtype, fill, attrs, stride)


def label_map(samples: Sequence[Sample], long_name: str) -> ArraySpec:
    """One class number per pixel; 255 is unlabelled, and padding."""
    return image_map(samples, "uint8", UNLABELLED, long_name)


def image_coords(dataset: DatasetIndex, samples: Sequence[Sample]) -> dict:
    """Coordinates of every artifact: size of each image and the names of the classes."""
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
    """Lay out an artifact over `samples`, or continue with what an interrupted run left of it."""
    ids = [sample.image_id for sample in samples]
    return store.create(ids, arrays, description, shard_size, image_coords(dataset, samples))
