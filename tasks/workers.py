"""CPU stages over shards: in this process, or in local worker processes through Dask.

Every shard is computed with one thread of BLAS and torch, wherever it runs, so that the bytes are the
same whichever way it runs. pydensecrf holds the GIL: processes help, threads do not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

import torch


def process_count(workers: int, shards: int) -> int:
    """Worker processes for so many shards; `workers` 0 = one a core."""
    return max(1, min(workers or os.cpu_count() or 1, shards))


def single_threaded(function: Callable, arguments: tuple):
    """Call with one torch thread, and put the number back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return function(*arguments)
    finally:
        torch.set_num_threads(threads)


def map_shards(function: Callable, shards: Iterable[tuple], workers: int, count: int | None = None) -> Iterator:
    """Call ``function(*arguments)`` for each of `shards`; results as they come.

    Parameters
    ----------
    function : callable
        Importable by name; it opens the artifacts itself and writes one whole shard.
    shards : iterable of tuple
        Arguments of each call; taken only as far as they are needed.
    workers : int
        Processes; 0 = one a core. With one process or one shard all happens here.
    count : int, optional
        Number of shards, where `shards` has no length.
    """
    processes = process_count(workers, len(shards) if count is None else count)
    if processes == 1:
        for arguments in shards:
            yield single_threaded(function, arguments)
        return
    with WorkerPool(processes) as pool:
        yield from pool.map(function, shards)


class WorkerPool:
    """Local Dask processes for the time of a ``with`` block; they end with this process, even if it is killed."""

    def __init__(self, processes: int):
        self.processes = processes

    def __enter__(self) -> WorkerPool:
        import dask
        from distributed import Client, LocalCluster

        with dask.config.set({"distributed.worker.daemon": True, "distributed.logging.distributed": "error"}):
            self.cluster = LocalCluster(
                n_workers=self.processes, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
            )
        self.client = Client(self.cluster)
        return self

    def __exit__(self, *error) -> None:
        self.client.close()
        self.cluster.close()

    def map(self, function: Callable, shards) -> Iterator:
        """Results as they come; two shards a process are under way at most, so that memory stays flat."""
        from distributed import as_completed

        rest = iter(shards)
        running = as_completed([])
        for arguments in rest:
            running.add(self._submit(function, arguments))
            if running.count() >= 2 * self.processes:
                break
        for future in running:
            result = future.result()
            future.release()
            if (arguments := next(rest, None)) is not None:
                running.add(self._submit(function, arguments))
            yield result

    def _submit(self, function: Callable, arguments: tuple):
        # Scattered, not put into the task: probabilities of a shard are tens of megabytes.
        (payload,) = self.client.scatter([arguments], hash=False)
        return self.client.submit(single_threaded, function, payload, pure=False)
