"""CPU stages over shards: in this process, or in local worker processes through Dask.

Every shard is computed with one thread of BLAS and torch, wherever it runs, so that the bytes are the
same whichever way it runs. pydensecrf holds the GIL: processes help, threads do not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

import luigi
import torch

from data.errors import SettingError, WorkerError
from data.sample import Sample

TRIES = 3
"""How often a shard is given to a worker before it is blamed for the worker's death."""


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


def map_shards(
    function: Callable, shards: Iterable[tuple], workers: int, count: int | None = None, dask: str = ""
) -> Iterator:
    """Call ``function(*arguments)`` for each of `shards`; results as they come.

    Parameters
    ----------
    function : callable
        Importable by name; it opens the artifacts itself and writes one whole shard.
    shards : iterable of tuple
        Arguments of each call; taken only as far as they are needed.
    workers : int
        Local processes; 0 = one a core. With one process or one shard all happens here.
    count : int, optional
        Number of shards, where `shards` has no length.
    dask : str
        Address of a Dask scheduler, or ``slurm``; empty = local processes.

    Raises
    ------
    WorkerError
        If a worker process died `TRIES` times on the same shard.
    """
    processes = process_count(workers, len(shards) if count is None else count)
    if processes == 1 and not dask:
        for arguments in shards:
            yield single_threaded(function, arguments)
        return
    with WorkerPool(processes, dask) as pool:
        yield from pool.map(function, shards)


class WorkerPool:
    """Dask workers for the time of a ``with`` block.

    Local processes end with this process, even if it is killed; those of a scheduler at an address stay; SLURM jobs
    are given back.
    """

    def __init__(self, processes: int, dask: str = ""):
        self.processes, self.address = processes, dask

    def __enter__(self) -> WorkerPool:
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
            "distributed.scheduler.allowed-failures": 0,  # what a dead worker had is sent anew, see map
        }
        with dask.config.set(settings):
            return LocalCluster(
                n_workers=self.processes, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
            )

    def __exit__(self, *error) -> None:
        self.client.close()
        if self.cluster:
            self.cluster.close()

    def map(self, function: Callable, shards) -> Iterator:
        """Results as they come; two shards a process are under way at most, so that memory stays flat."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker, as_completed

        rest = iter(shards)
        running = as_completed([])
        under_way: dict[str, tuple[tuple, int]] = {}  # key of the future -> arguments, how often they were tried
        limit = 2 * max(self.processes, sum(self.client.ncores().values()))

        def submit(arguments: tuple, tries: int) -> None:
            future = self._submit(function, arguments)
            under_way[future.key] = arguments, tries
            running.add(future)

        for arguments in rest:
            submit(arguments, 1)
            if running.count() >= limit:
                break
        for future in running:
            arguments, tries = under_way.pop(future.key)
            try:
                result = future.result()
            except (KilledWorker, CancelledError) as error:  # its process died, and with it what was sent there
                if tries == TRIES:
                    raise WorkerError(_died(image_ids(arguments))) from error
                submit(arguments, tries + 1)
                continue
            future.release()
            if (following := next(rest, None)) is not None:
                submit(following, 1)
            yield result

    def _submit(self, function: Callable, arguments: tuple):
        # Scattered, not put into the task: probabilities of a shard are tens of megabytes.
        (payload,) = self.client.scatter([arguments], hash=False)
        return self.client.submit(single_threaded, function, payload, pure=False)


def _died(ids: list[str]) -> str:
    images = f"images {ids[0]} to {ids[-1]}" if ids else "a shard"
    return (
        f"{images}: the process at work on them died {TRIES} times, for lack of memory or on a broken file; what is "
        "finished stays, and --processes 1 shows where it happens"
    )


def image_ids(arguments: tuple) -> list[str]:
    """Ids of the samples among the arguments of a shard's call."""
    sequences = [values for values in arguments if isinstance(values, (list, tuple))]
    return [item.image_id for values in sequences for item in values if isinstance(item, Sample)]


def slurm_cluster(settings: dict[str, str]):
    """Workers as SLURM jobs, as the section [slurm] of luigi.cfg describes them.

    Parameters
    ----------
    settings : dict
        ``jobs`` and the keywords of ``dask_jobqueue.SLURMCluster``: cores, memory, queue, account, walltime, ...
    """
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise SettingError("--dask slurm needs the package dask-jobqueue: pip install 'depthseed[slurm]'") from error
    options: dict[str, object] = {name: int(value) if value.isdigit() else value for name, value in settings.items()}
    jobs = options.pop("jobs", 1)
    missing = {"cores", "memory"} - options.keys()
    if missing:
        raise SettingError(f"section [slurm] of luigi.cfg lacks {', '.join(sorted(missing))}")
    # One process a core: pydensecrf holds the GIL.
    cluster = SLURMCluster(**{"processes": options["cores"], **options})
    cluster.scale(jobs=jobs)
    return cluster
