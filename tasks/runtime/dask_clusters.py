"""Which Dask cluster computes: local processes, a running scheduler by its address, or SLURM jobs."""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
from collections.abc import Iterator, Sequence
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from data.errors import SettingError
from tasks.runtime.dask_security import CLOSED, security_of
from tasks.runtime.devices import usable_cores
from tasks.runtime.slurm_settings import CPU, GPU, SLURM

if TYPE_CHECKING:
    from distributed import Client
    from distributed.security import Security

SECONDS_TO_ANSWER = 20
"""How long a scheduler may take to answer."""

LOCAL = {
    "distributed.worker.daemon": True,
    # A worker keeps no results. If it paused until there is more memory, it would wait without end.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
}
"""More settings for local worker processes."""


SILENT = logging.CRITICAL + 1
"""Level of Dask's own log. A command that ends on a signal may close a connection in which Dask still writes; Dask
calls that critical, and its traceback would stand above our line."""


THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Environment: number of threads of the numeric libraries, read when they are loaded."""


@contextlib.contextmanager
def dask_client(workers: int, address: str, kind: str = CPU, devices: Sequence[str] = ()) -> Iterator[Client]:
    """A client of the cluster that computes. A cluster that was started for it ends with it.

    Parameters
    ----------
    workers : int
        Number of local worker processes of the kind ``cpu``; for SLURM, the most workers that are of use.
    address : str
        Address of a running scheduler, or ``slurm``; empty = local processes.
    kind : str
        What a worker has for itself: a core (``cpu``) or a GPU (``gpu``).
    devices : sequence of str
        The GPUs of this machine for local workers of the kind ``gpu``: values of ``CUDA_VISIBLE_DEVICES``.

    Raises
    ------
    SettingError
        If no scheduler answers, or the settings of TLS or of SLURM are wrong.
    """
    import distributed  # noqa: F401, it sets the levels of its loggers

    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(SILENT)  # what matters of it becomes an error line
    with contextlib.ExitStack() as stack:
        if address in ("", SLURM):
            with _without_interrupt():
                cluster = stack.enter_context(_started(workers, address, kind, devices))
                client = _connected(cluster)
        else:
            client = _connected(address, security_of(address))
        yield stack.enter_context(client)


def _started(workers: int, address: str, kind: str, devices: Sequence[str]):
    if not address:
        return gpu_cluster(devices) if kind == GPU else local_cluster(workers)
    try:
        from tasks.runtime.slurm_workers import slurm_cluster
    except ImportError as error:
        raise SettingError("--dask slurm needs the package dask-jobqueue: pip install 'depthseed[slurm]'") from error
    return slurm_cluster(kind, workers)


def _connected(cluster: Any, security: Security | None = None) -> Client:
    """A client of a cluster or of an address."""
    from distributed import Client

    try:
        return Client(cluster, timeout=SECONDS_TO_ANSWER, security=security)
    except (OSError, ValueError) as error:
        reason = str(error)
    gc.collect()  # if Python removed the failed client while the next one starts, both would wait without end
    raise SettingError(f"no Dask scheduler answers at '{cluster}' ({reason}); check --dask")


@contextlib.contextmanager
def _without_interrupt() -> Iterator[None]:
    """Keep Ctrl-C from the processes and threads that start here: a terminal sends it to every process of a command.

    The workers end with this process. A Ctrl-C that comes now takes effect at the end.
    """
    resource_tracker.ensure_running()  # its start would take the block away
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def local_cluster(processes: int):
    """Worker processes of this machine, one thread each. No other user can connect to them."""
    import dask
    from distributed import LocalCluster
    from distributed.security import Security

    with dask.config.set(CLOSED | LOCAL):
        return LocalCluster(
            n_workers=processes, threads_per_worker=1, security=Security.temporary(), silence_logs=SILENT,
            # any free port: several runs on one machine would ask for the same one, and dask warns of that
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        )  # fmt: skip


def gpu_cluster(devices: Sequence[str]):
    """Worker processes of this machine, one for each GPU, which it sees as its only one. Each offers the resource GPU.

    Parameters
    ----------
    devices : sequence of str
        Values of ``CUDA_VISIBLE_DEVICES``.
    """
    import dask
    from distributed import Nanny, Scheduler, SpecCluster, system
    from distributed.security import Security

    security = Security.temporary()
    threads = max(1, usable_cores() // len(devices))
    settings = {f"distributed.nanny.pre-spawn-environ.{name}": threads for name in THREADS}
    common = {
        "nthreads": 1, "resources": {"GPU": 1}, "security": security, "host": "127.0.0.1", "protocol": "tls://",
        "dashboard": False, "silence_logs": SILENT, "memory_limit": system.MEMORY_LIMIT // len(devices),
    }  # fmt: skip
    with dask.config.set(CLOSED | LOCAL | settings):
        return SpecCluster(
            {
                device: {"cls": Nanny, "options": common | {"env": {"CUDA_VISIBLE_DEVICES": device}}}
                for device in devices
            },
            {
                "cls": Scheduler,
                "options": {
                    "security": security, "host": "127.0.0.1", "port": 0, "protocol": "tls://",
                    "dashboard": False, "dashboard_address": "127.0.0.1:0",
                },
            },
            security=security, silence_logs=SILENT,
        )  # fmt: skip
