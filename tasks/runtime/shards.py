"""The unit of work of all stages over images: the images of one shard, with what is read for each of them.

A job goes to whichever process computes it (`tasks.runtime.executors`). Paths travel, arrays do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from data.sample import Sample
from data.store.sharded import ShardedStore, StoredImage


class ImageInputs(Mapping[str, StoredImage]):
    """What is read for one image: input name -> its part of that store.

    Attributes
    ----------
    index : int
        Position of the image in its split, the same in every store.
    num_classes : int
        Foreground classes K of the data set.
    inferred : object
        What the stage's network computed for the image; None where there is no network.
    """

    def __init__(
        self,
        stores: Mapping[str, ShardedStore],
        index: int,
        size: tuple[int, int],
        num_classes: int,
        inferred: Any = None,
    ):
        self._stores, self._size = stores, size
        self.index, self.num_classes, self.inferred = index, num_classes, inferred

    def __getitem__(self, name: str) -> StoredImage:
        return self._stores[name].image(self.index, self._size)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stores)

    def __len__(self) -> int:
        return len(self._stores)


@dataclass(frozen=True)
class ShardJob:
    """The images of one shard and what is computed for each.

    Attributes
    ----------
    compute : callable
        (sample, `ImageInputs`) -> result.
    indices : sequence of int
        Positions of the images in their split.
    samples : sequence of Sample
    stores : dict of name -> ShardedStore
        What is read, by the name of the input.
    num_classes : int
        Foreground classes K.
    inferred : sequence, optional
        One result of the stage's network per image.
    target : ShardedStore, optional
        Where `write_shard` writes, into the shard `shard`.
    key : object
        Handed back by `sum_over_shard`.
    """

    compute: Callable[[Sample, ImageInputs], Any]
    indices: Sequence[int]
    samples: Sequence[Sample]
    stores: Mapping[str, ShardedStore]
    num_classes: int
    inferred: Sequence[Any] | None = None
    target: ShardedStore | None = None
    shard: int = 0
    key: Any = field(default=None, compare=False)

    def results(self) -> Iterator[Any]:
        """One result per image."""
        for place, (index, sample) in enumerate(zip(self.indices, self.samples, strict=True)):
            inferred = None if self.inferred is None else self.inferred[place]
            yield self.compute(sample, ImageInputs(self.stores, index, sample.size, self.num_classes, inferred))


def open_stores(inputs: Mapping[str, Any]) -> dict[str, ShardedStore]:
    """The array stores among the inputs of a stage."""
    opened = {name: inputs[name] for name in inputs}
    return {name: store for name, store in opened.items() if isinstance(store, ShardedStore)}


def write_shard(job: ShardJob) -> int:
    """Compute the images of a shard and write it as a whole; the number of images."""
    results = list(job.results())
    target = cast(ShardedStore, job.target)
    target.write_shard(job.shard, {name: [values[name] for values in results] for name in results[0]})
    return len(results)


def sum_over_shard(job: ShardJob) -> tuple[Any, tuple[np.ndarray | int, ...] | None]:
    """The job's key, and the sums of what is computed for its images.

    `compute` returns a tuple of arrays or numbers, or None for an image that does not count. The sums are None if no
    image counts.
    """
    total = None
    for counts in job.results():
        if counts is not None:
            total = counts if total is None else add(total, counts)
    return job.key, total


def add(first: tuple, second: tuple) -> tuple:
    """The sums of two tuples, entry by entry."""
    return tuple(a + b for a, b in zip(first, second, strict=True))


def jobs_over(
    store: ShardedStore, name: str, samples: Sequence[Sample], compute: Callable, num_classes: int, key: Any
) -> Iterator[ShardJob]:
    """One job per shard of a finished store, for counting.

    Parameters
    ----------
    store : ShardedStore
    name : str
        The name under which `compute` finds it among its inputs.
    samples : sequence of Sample
        The images of the store's split.
    compute : callable
        As of `ShardJob`.
    num_classes : int
    key : object
        Handed back with the counts.
    """
    for shard in range(store.num_shards()):
        indices = store.images_of(shard)
        yield ShardJob(compute, indices, [samples[i] for i in indices], {name: store}, num_classes, key=key)
