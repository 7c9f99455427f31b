"""How the array artifacts of this pipeline are laid out: images padded to one size, coordinates, shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from data.sample import DatasetIndex, Sample
from data.store.sharded import ArraySpec, ShardedStore

SHARD_SIZE = 32
"""Images a shard: some dozens keep the files few and the memory small (DESIGN)."""


def padded_size(samples: Sequence[Sample], stride: int = 1) -> tuple[int, int]:
    """Height and width that hold every image, in cells of `stride` pixels."""
    return tuple(max(-(-sample.size[axis] // stride) for sample in samples) for axis in (0, 1))


def image_coords(index: DatasetIndex, samples: Sequence[Sample]) -> dict:
    """Coordinates of every artifact: size of each image and the names of the classes."""
    sizes = np.array([sample.size for sample in samples], np.int32)
    return {
        "height": (("image_id",), sizes[:, 0]),
        "width": (("image_id",), sizes[:, 1]),
        "class_name": (("class",), np.array(index.class_names)),
    }


def create_store(
    store: ShardedStore,
    index: DatasetIndex,
    samples: Sequence[Sample],
    arrays: Mapping[str, ArraySpec],
    description: Mapping[str, object],
    shard_size: int,
) -> ShardedStore:
    """Lay out an artifact over `samples`, or go on with what an interrupted run left of it."""
    ids = [sample.image_id for sample in samples]
    return store.create(ids, arrays, description, shard_size, image_coords(index, samples))
