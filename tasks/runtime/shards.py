"""The unit of work of all stages over images: the images of one shard, with what is read for each image.

A job is sent to the process that computes it (`tasks.runtime.executors`). It holds the paths of the stores that are
read, not their arrays. A job whose stage has a network holds what is needed to load it (`ShardJob.network`), or the
results of the network (`ShardJob.inferred`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from data.sample import Sample
from data.store.sharded import ShardedStore, StoredImage
from tasks.runtime.device_use import DeviceUse

if TYPE_CHECKING:
    from tasks.runtime.network_map import NetworkSource


class ImageInputs(Mapping[str, StoredImage]):
    """What is read for one image: name of the input -> the part of the image in that store.

    Parameters
    ----------
    stores : dict of name -> ShardedStore
    index : int
        Position of the image in its split, the same in every store.
    size : (height, width) of the image in pixels
    num_classes : int
        Foreground classes K of the data set.
    inferred : object
        Result of the stage's network for the image; None if the stage has no network.
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
    """The images of one shard and what is computed for each of them.

    Attributes
    ----------
    compute : callable
        (sample, `ImageInputs`) -> result.
    indices : sequence of int
        Positions of the images in their split.
    samples : sequence of Sample
    stores : dict of name -> ShardedStore
        Name of the input -> store that is read.
    num_classes : int
        Foreground classes K.
    inferred : sequence, optional
        One result of the stage's network per image.
    target : ShardedStore, optional
        The store into which `write_shard` writes.
    shard : int
        Index of the shard in `target`.
    network : NetworkSource, optional
        The network that computes `inferred` where the job is computed.
    key : object
        `tasks.runtime.counting` adds up the counts of all jobs with the same key.
    count : callable, optional
        (sample, its image in `target`, `num_classes`) -> numbers that `write_shard` adds up over the images.
    """

    compute: Callable[[Sample, ImageInputs], Any]
    indices: Sequence[int]
    samples: Sequence[Sample]
    stores: Mapping[str, ShardedStore]
    num_classes: int
    inferred: Sequence[Any] | None = None
    target: ShardedStore | None = None
    shard: int = 0
    network: NetworkSource | None = None
    key: Any = field(default=None, compare=False)
    count: Callable[[Sample, Any, int], Any] | None = None

    def results(self, use: DeviceUse | None = None) -> Iterator[Any]:
        """Yield one result per image, in the order of `samples`. How `network` uses its device is added to `use`."""
        found = self.inferred
        if self.network is not None:
            network = self.network.kept()
            network.use = use or DeviceUse()
            (found,) = network.shards([self.samples])
        for place, (index, sample) in enumerate(zip(self.indices, self.samples, strict=True)):
            inferred = None if found is None else found[place]
            yield self.compute(sample, ImageInputs(self.stores, index, sample.size, self.num_classes, inferred))


def open_stores(inputs: Mapping[str, Any]) -> dict[str, ShardedStore]:
    """The inputs of a stage that are array stores: name -> store."""
    opened = {name: inputs[name] for name in inputs}
    return {name: store for name, store in opened.items() if isinstance(store, ShardedStore)}


class ComputedImage:
    """An image that was just computed. It reads as the `StoredImage` that it becomes in a store."""

    def __init__(self, store: ShardedStore, values: Mapping[str, Any]):
        self._store, self._values = store, values

    def read(self, name: str) -> np.ndarray:
        return np.asarray(self._values[name]).astype(self._store.array(name).dtype)


class Written(NamedTuple):
    """What is told of a shard that was written.

    Attributes
    ----------
    images : int
    use : DeviceUse
        How its network used the device.
    counts : ndarray or None
        What `ShardJob.count` returned, added up over its images.
    """

    images: int
    use: DeviceUse
    counts: Any = None


def write_shard(job: ShardJob) -> Written:
    """Compute the images of a shard and write it into `target`."""
    use = DeviceUse()
    results = list(job.results(use))
    target = cast(ShardedStore, job.target)
    target.write_shard(job.shard, {name: [values[name] for values in results] for name in results[0]})
    counts = None
    if job.count is not None:
        images = (ComputedImage(target, values) for values in results)
        counts = sum(job.count(sample, image, job.num_classes) for sample, image in zip(job.samples, images))
    return Written(len(results), use, counts)
