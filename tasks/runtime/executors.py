"""Where shards are computed: in this process, in local worker processes, or on a Dask cluster.

An executor has one method, ``map(function, jobs)``, which yields results as soon as they are ready. Every job is
computed with one torch thread, so the bytes of a result do not depend on the executor. Workers are processes, not
threads, because pydensecrf holds the GIL.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import luigi
import torch

from data.errors import SettingError, WorkerError
from tasks.runtime.shards import ShardJob

TRIES = 3
"""How many times a job is sent to a worker. If the worker process died each time, the run fails with a WorkerError."""


class Executor(Protocol):
    """Computes jobs."""

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Any]:
        """Yield ``function(job)`` of each job, in any order. A job is taken from `jobs` only when it is needed.

        `function` must be importable by name.
        """


def executor_for(workers: int, shards: int, dask: str = "") -> Executor:
    """The executor for a number of shards.

    Parameters
    ----------
    workers : int
        Local processes; 0 = one per core. One process or one shard is computed in this process.
    shards : int
        Number of shards to compute.
    dask : str
        Address of a Dask scheduler, or ``slurm``, whose workers compute the shards; empty = this machine.
    """
    processes = process_count(workers, shards)
    if processes == 1 and not dask:
        return ThisProcess()
    return DaskWorkers(processes, dask)


def process_count(workers: int, shards: int) -> int:
    """Number of worker processes: at most one per shard, at least 1; `workers` = 0 means one per core."""
    return max(1, min(workers or os.cpu_count() or 1, shards))


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

    Parameters
    ----------
    processes : int
        Number of local worker processes.
    dask : str
        Address of a Dask scheduler, or ``slurm``; empty = local processes.

    Raises
    ------
    WorkerError
        If `TRIES` worker processes died while they computed the same job.
    SettingError
        If no scheduler answers, or the settings of SLURM are wrong.
    """

    def __init__(self, processes: int, dask: str = ""):
        self.processes, self.address = processes, dask

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Any]:
        with self:
            yield from self._map(function, jobs)

    def __enter__(self) -> DaskWorkers:
        from distributed import Client

        self.cluster = None if self.address not in ("", "slurm") else self._cluster()
        try:
            self.client = Client(self.cluster or self.address, timeout=20)
        except OSError as error:
            raise SettingError(f"no Dask scheduler answers at '{self.address}' ({error}); check --dask") from error
        return self

    def _cluster(self):
        if self.address == "slurm":
            config = luigi.configuration.get_config()
            return slurm_cluster(dict(config.items("slurm")) if config.has_section("slurm") else {})
        import dask
        from distributed import LocalCluster

        settings = {
            "distributed.worker.daemon": True,
            "distributed.logging.distributed": "error",
            "distributed.scheduler.allowed-failures": 0,  # _map sends the job of a dead worker again
        }
        with dask.config.set(settings):
            return LocalCluster(
                n_workers=self.processes, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
            )

    def __exit__(self, *error) -> None:
        self.client.close()
        if self.cluster:
            self.cluster.close()

    def _map(self, function: Callable, jobs: Iterable[Any]) -> Iterator:
        """Results as soon as they are ready. To limit the memory, at most two jobs per process are sent at a time."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker, as_completed

        rest = iter(jobs)
        running = as_completed([])
        under_way: dict[str, tuple[Any, int]] = {}  # key of the future -> job, number of tries
        limit = 2 * max(self.processes, sum(self.client.ncores().values()))

        def submit(job: Any, tries: int) -> None:
            future = self._submit(function, job)
            under_way[future.key] = job, tries
            running.add(future)

        for job in rest:
            submit(job, 1)
            if running.count() >= limit:
                break
        for future in running:
            job, tries = under_way.pop(future.key)
            try:
                result = future.result()
            except (KilledWorker, CancelledError) as error:  # the worker process died with the job
                if tries == TRIES:
                    raise WorkerError(_died(job)) from error
                submit(job, tries + 1)
                continue
            future.release()
            if (following := next(rest, None)) is not None:
                submit(following, 1)
            yield result

    def _submit(self, function: Callable, job: Any):
        # Scattered, not a part of the task: the probabilities of a shard are tens of megabytes.
        (payload,) = self.client.scatter([job], hash=False)
        return self.client.submit(single_threaded, function, payload, pure=False)


def _died(job: Any) -> str:
    ids = [sample.image_id for sample in job.samples] if isinstance(job, ShardJob) else []
    images = f"images {ids[0]} to {ids[-1]}" if ids else "a shard"
    return (
        f"{images}: the worker process died {TRIES} times on them (out of memory, or a broken file); completed shards "
        "are kept; run with --processes 1 to see the cause"
    )


def slurm_cluster(settings: dict[str, str]):
    """Workers as SLURM jobs, described by the section [slurm] of luigi.cfg.

    Parameters
    ----------
    settings : dict
        ``jobs`` (number of SLURM jobs) and the keywords of ``dask_jobqueue.SLURMCluster``: cores, memory, queue,
        account, walltime, ...

    Raises
    ------
    SettingError
        If dask-jobqueue is not installed, or ``cores`` or ``memory`` is missing.
    """
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise SettingError("--dask slurm needs the package dask-jobqueue: pip install 'depthseed[slurm]'") from error
    options: dict[str, Any] = {name: int(value) if value.isdigit() else value for name, value in settings.items()}
    jobs = options.pop("jobs", 1)
    missing = {"cores", "memory"} - options.keys()
    if missing:
        raise SettingError(f"section [slurm] of luigi.cfg lacks {', '.join(sorted(missing))}; add them")
    # One process per core: pydensecrf holds the GIL.
    cluster = SLURMCluster(**{"processes": options["cores"], **options})
    cluster.scale(jobs=jobs)
    return cluster
