"""Where shards are computed: in this process, in local worker processes, or on a Dask cluster.

An executor has one method, ``map(function, jobs)``, which gives results as they come. Every job is computed with one
thread of BLAS and torch, wherever it runs: the bytes are the same whichever way it runs. Processes and not threads,
because pydensecrf holds the GIL.
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
"""How often a job is given to a worker before it is blamed for the worker's death."""


class Executor(Protocol):
    """Computes jobs."""

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Any]:
        """``function(job)`` of each job, in any order; jobs are taken only as far as they are needed.

        `function` must be importable by name.
        """


def executor_for(workers: int, shards: int, dask: str = "") -> Executor:
    """The executor that fits.

    Parameters
    ----------
    workers : int
        Local processes; 0 = one per core. With one process or one shard all happens in this process.
    shards : int
        How many there are to compute.
    dask : str
        Address of a Dask scheduler, or ``slurm``; empty = this machine.
    """
    processes = process_count(workers, shards)
    if processes == 1 and not dask:
        return ThisProcess()
    return DaskWorkers(processes, dask)


def process_count(workers: int, shards: int) -> int:
    """Worker processes for so many shards; `workers` 0 = one per core."""
    return max(1, min(workers or os.cpu_count() or 1, shards))


def single_threaded(function: Callable, job):
    """Call with one torch thread, and put the number back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return function(job)
    finally:
        torch.set_num_threads(threads)


class ThisProcess:
    """One job after the other, here."""

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Any]:
        for job in jobs:
            yield single_threaded(function, job)


class DaskWorkers:
    """Worker processes of Dask, for the time of a ``map``.

    Local processes end with this process, even if it is killed. Those of a scheduler at an address stay. SLURM jobs
    are given back.

    Raises
    ------
    WorkerError
        If a worker process died `TRIES` times on the same job.
    SettingError
        If no scheduler answers, or its settings are wrong.
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
            "distributed.scheduler.allowed-failures": 0,  # the jobs of a dead worker are sent again, see _map
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
        """Results as they come. At most two jobs per process are under way, so memory stays flat."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker, as_completed

        rest = iter(jobs)
        running = as_completed([])
        under_way: dict[str, tuple[Any, int]] = {}  # key of the future -> job, how often it was tried
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
            except (KilledWorker, CancelledError) as error:  # its process died, and with it the job that was sent there
                if tries == TRIES:
                    raise WorkerError(_died(job)) from error
                submit(job, tries + 1)
                continue
            future.release()
            if (following := next(rest, None)) is not None:
                submit(following, 1)
            yield result

    def _submit(self, function: Callable, job: Any):
        # Scattered, not put into the task: probabilities of a shard are tens of megabytes.
        (payload,) = self.client.scatter([job], hash=False)
        return self.client.submit(single_threaded, function, payload, pure=False)


def _died(job: Any) -> str:
    ids = [sample.image_id for sample in job.samples] if isinstance(job, ShardJob) else []
    images = f"images {ids[0]} to {ids[-1]}" if ids else "a shard"
    return (
        f"{images}: the worker process died {TRIES} times on them, out of memory or on a broken file; completed "
        "shards are kept, and --processes 1 shows where it happens"
    )


def slurm_cluster(settings: dict[str, str]):
    """Workers as SLURM jobs, described by the section [slurm] of luigi.cfg.

    Parameters
    ----------
    settings : dict
        ``jobs`` and the keywords of ``dask_jobqueue.SLURMCluster``: cores, memory, queue, account, walltime, ...
    """
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise SettingError("--dask slurm needs the package dask-jobqueue: pip install 'depthseed[slurm]'") from error
    options: dict[str, Any] = {name: int(value) if value.isdigit() else value for name, value in settings.items()}
    jobs = options.pop("jobs", 1)
    missing = {"cores", "memory"} - options.keys()
    if missing:
        raise SettingError(f"section [slurm] of luigi.cfg lacks {', '.join(sorted(missing))}")
    # One process per core: pydensecrf holds the GIL.
    cluster = SLURMCluster(**{"processes": options["cores"], **options})
    cluster.scale(jobs=jobs)
    return cluster
