"""Counting over images, as for scores: one job per shard, and the sums of all counts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from data.sample import Sample
from data.store.sharded import ShardedStore
from tasks.runtime.executors import executor_for
from tasks.runtime.shards import ShardJob
from tasks.runtime.stage import StageTask

Counts = tuple[Any, ...]
"""Arrays and numbers that can be added up over images; each entry keeps its shape."""


class JobsOver(Sequence[ShardJob]):
    """One job per shard of a complete store. A job is made each time it is asked for.

    Parameters
    ----------
    store : ShardedStore
    name : str
        Name of `store` among the inputs of `compute`.
    samples : sequence of Sample
        All images of the store, in its order.
    compute : callable
        (sample, `ImageInputs`) -> `Counts`, or None for an image that does not count.
    num_classes : int
        Foreground classes K.
    key : object
        Counts with the same key are added up.
    """

    def __init__(
        self, store: ShardedStore, name: str, samples: Sequence[Sample], compute: Callable, num_classes: int, key: Any
    ):
        self.store, self.name, self.samples, self.compute = store, name, samples, compute
        self.num_classes, self.key = num_classes, key

    def __len__(self) -> int:
        return self.store.num_shards()

    def __getitem__(self, shard):
        if not 0 <= shard < len(self):
            raise IndexError(shard)
        indices = self.store.images_of(shard)
        samples = list(self.samples[indices.start : indices.stop])
        return ShardJob(self.compute, indices, samples, {self.name: self.store}, self.num_classes, key=self.key)


def count_shard(job: ShardJob) -> tuple[Any, Counts | None]:
    """The key of a job, and the sums over its images; None instead of the sums if no image counts."""
    total: Counts | None = None
    for counts in job.results():
        if counts is not None:
            total = counts if total is None else _added(total, counts)
    return job.key, total


def total_counts(stage: StageTask, parts: Sequence[Sequence[ShardJob]]) -> dict[Any, Counts]:
    """Compute jobs in the processes of a stage. Returns the sums: key -> counts. Keys without counts are left out.

    Parameters
    ----------
    stage : StageTask
    parts : sequence of sequences of ShardJob
        For example of `JobsOver`, so that the jobs of a million images are never there together.
    """
    total = sum(map(len, parts))
    executor = executor_for(stage.processes, total, stage.dask, stage.shard_timeout)
    totals: dict[Any, Counts] = {}
    jobs = itertools.chain.from_iterable(parts)
    for key, counts in stage.progress(executor.map(count_shard, jobs), total, "shard"):
        if counts is not None:
            totals[key] = _added(totals[key], counts) if key in totals else counts
    return totals


def _added(first: Counts, second: Counts) -> Counts:
    return tuple(a + b for a, b in zip(first, second, strict=True))
