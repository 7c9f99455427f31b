"""Where shards are computed: in this process, in local worker processes, or on a Dask cluster.

An executor has one method, ``map(function, jobs)``, which yields results as soon as they are ready. Every job is
computed with one torch thread, so the bytes of a result do not depend on the executor. Workers are processes, not
threads, because pydensecrf holds the GIL.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import torch

from tasks.runtime.dask_clusters import dask_client
from tasks.runtime.dask_jobs import DaskJobs
from tasks.runtime.devices import usable_cores
from tasks.runtime.slurm_settings import CPU, GPU


class Executor(Protocol):
    """Computes jobs."""

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Any]:
        """Yield ``function(job)`` of each job, in any order. A job is taken from `jobs` only when it is needed.

        `function` must be importable by name.
        """


def executor_for(
    workers: int, shards: int, dask: str = "", seconds: float = 0, kind: str = CPU, devices: Sequence[str] = ()
) -> Executor:
    """The executor for a number of shards.

    Parameters
    ----------
    workers : int
        Local processes of jobs of the kind ``cpu``; 0 = one per core. One process or one shard is computed in this
        process.
    shards : int
        Number of shards to compute.
    dask : str
        Address of a Dask scheduler, or ``slurm``, whose workers compute the shards; empty = this machine.
    seconds : float
        Time limit of a job in a worker process; 0 = none. There is none in this process.
    kind : str
        ``gpu`` if a job computes on one accelerator, which it has for itself; ``cpu`` if it computes on one core.
    devices : sequence of str
        Accelerators of this machine for local jobs of the kind ``gpu``: values of ``CUDA_VISIBLE_DEVICES``. There is
        one worker process for each. One device or one shard is computed in this process.
    """
    if dask:
        return DaskWorkers(shards, dask, seconds, kind)
    count = min(len(devices), shards) if kind == GPU else process_count(workers, shards)
    return DaskWorkers(count, "", seconds, kind, devices[:count]) if count > 1 else ThisProcess()


def process_count(workers: int, shards: int) -> int:
    """Number of worker processes: at most one per shard, at least 1; `workers` = 0 means one per core."""
    return max(1, min(workers or usable_cores(), shards))


def single_threaded(function: Callable, job):
    """``function(job)``, computed with one torch thread. The number of threads is set back afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return function(job)
    finally:
        torch.set_num_threads(threads)


class ThisProcess:
    """Computes one job after the other, in this process."""

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Any]:
        for job in jobs:
            result = single_threaded(function, job)
            del job  # its arrays go before those of the next one come
            yield result


class DaskWorkers:
    """Computes jobs in worker processes of Dask, which are started for each ``map``.

    Local worker processes end with this process, even if it is killed. The workers of a running scheduler are left
    as they are. SLURM jobs end after the ``map``.

    A job whose worker process dies is sent to another worker. A job that takes longer than `seconds` may hang, and
    nothing else stops it: its worker process ends itself, and the job counts as one whose worker died.

    Parameters
    ----------
    workers : int
        Number of local worker processes; with `dask`, the most workers that are of use.
    dask : str
        Address of a Dask scheduler, or ``slurm``; empty = local processes.
    seconds : float
        Time limit of a job, from its beginning on a worker; 0 = none.
    kind : str
        What a worker has for itself: a core (``cpu``) or a GPU (``gpu``).
    devices : sequence of str
        The GPUs of this machine for local workers of the kind ``gpu``: values of ``CUDA_VISIBLE_DEVICES``.

    Raises
    ------
    WorkerError
        If `TRIES` worker processes died or ended themselves while they computed the same job, or the scheduler or all
        local worker processes are gone.
    MemoryError
        If the worker processes died because they needed too much memory.
    SettingError
        If no scheduler answers, or the settings of TLS or of SLURM are wrong.
    """

    def __init__(self, workers: int, dask: str = "", seconds: float = 0, kind: str = CPU, devices: Sequence[str] = ()):
        self.workers, self.address, self.seconds, self.kind, self.devices = workers, dask, seconds, kind, devices

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Any]:
        with dask_client(self.workers, self.address, self.kind, self.devices) as client:
            computed = functools.partial(single_threaded, function)
            yield from DaskJobs(client, computed, self.address, self.seconds, self.kind).results(jobs)
