"""Counting over images, as for scores: one job per shard, and the sums of all counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from data.sample import Sample
from data.store.sharded import ShardedStore
from tasks.runtime.executors import executor_for
from tasks.runtime.shards import ShardJob
from tasks.runtime.stage import StageTask

Counts = tuple[Any, ...]
"""Arrays and numbers that can be added up over images; each entry keeps its shape."""


def jobs_over(
    store: ShardedStore, name: str, samples: Sequence[Sample], compute: Callable, num_classes: int, key: Any
) -> Iterator[ShardJob]:
    """Yield one job per shard of a complete store.

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
    for shard in range(store.num_shards()):
        indices = store.images_of(shard)
        yield ShardJob(compute, indices, [samples[i] for i in indices], {name: store}, num_classes, key=key)


def count_shard(job: ShardJob) -> tuple[Any, Counts | None]:
    """The key of a job, and the sums over its images; None instead of the sums if no image counts."""
    total: Counts | None = None
    for counts in job.results():
        if counts is not None:
            total = counts if total is None else _added(total, counts)
    return job.key, total


def total_counts(stage: StageTask, jobs: Sequence[ShardJob]) -> dict[Any, Counts]:
    """Compute jobs in the processes of a stage. Returns the sums: key -> counts. Keys without counts are left out."""
    executor = executor_for(stage.processes, len(jobs), stage.dask, stage.shard_timeout)
    totals: dict[Any, Counts] = {}
    for key, counts in stage.progress(executor.map(count_shard, jobs), len(jobs), "shard"):
        if counts is not None:
            totals[key] = _added(totals[key], counts) if key in totals else counts
    return totals


def _added(first: Counts, second: Counts) -> Counts:
    return tuple(a + b for a, b in zip(first, second, strict=True))
