"""Which Dask cluster computes: local processes, a running scheduler by its address, or SLURM jobs.

The scheduler and the workers of Dask run any code that is sent to them. So the clusters that start here accept only
connections by TLS in which both sides show a certificate. The certificate of a cluster is made when it starts, and its
key is known to the processes of this cluster only. A file system socket would do for local processes, but Dask has
none. Its transport within one process, ``inproc``, would leave all computing to one interpreter.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import logging
import signal
import tempfile
from collections.abc import Iterator, Mapping
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

import luigi

from data.errors import SettingError

if TYPE_CHECKING:
    from distributed import Client
    from distributed.security import Security

log = logging.getLogger("depthseed")

SLURM = "slurm"
"""Value of ``--dask`` for workers that are SLURM jobs."""

TLS_FILES = ("ca_file", "cert", "key")
"""Options of the section [dask] of luigi.cfg: the certificate of the authority, and ours with its key, as PEM files."""

SECONDS_TO_ANSWER = 20
"""How long a scheduler may take to answer."""

CLOSED = {
    # The pages show names of images and log lines to every user of the machine.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.scheduler.allowed-failures": 0,  # `DaskWorkers` sends the job of a dead worker again
    "distributed.logging.distributed": "error",
}
"""Settings of Dask for every cluster that starts here."""

LOCAL = {
    "distributed.worker.daemon": True,
    # A worker keeps no results. If it paused until there is more memory, it would wait without end.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
}
"""More settings for local worker processes."""


@contextlib.contextmanager
def dask_client(processes: int, address: str) -> Iterator[Client]:
    """A client of the cluster that computes. A cluster that was started for it ends with it.

    Parameters
    ----------
    processes : int
        Number of local worker processes.
    address : str
        Address of a running scheduler, or ``slurm``; empty = local processes.

    Raises
    ------
    SettingError
        If no scheduler answers, or the settings of TLS or of SLURM are wrong.
    """
    import distributed  # noqa: F401, it sets the levels of its loggers

    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters of it becomes an error line
    with contextlib.ExitStack() as stack:
        if address in ("", SLURM):
            with _without_interrupt():
                cluster = slurm_cluster(_section(SLURM)) if address == SLURM else local_cluster(processes)
                client = _connected(stack.enter_context(cluster))
        else:
            client = _connected(address, security_of(address))
        yield stack.enter_context(client)


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
            n_workers=processes, threads_per_worker=1, security=Security.temporary(), silence_logs=logging.CRITICAL,
            # any free port: several runs on one machine would ask for the same one, and dask warns of that
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        )  # fmt: skip


@contextlib.contextmanager
def slurm_cluster(settings: Mapping[str, str]):
    """Workers as SLURM jobs, described by the section [slurm] of luigi.cfg.

    The certificate is that of the section [dask] of luigi.cfg. Without it, one is made. The jobs read it from a
    folder that only this user can enter, in ``shared_temp_directory``, until the cluster ends.

    Parameters
    ----------
    settings : dict
        ``jobs`` (number of SLURM jobs), ``shared_temp_directory`` (a folder that all machines see; default: home) and
        the keywords of ``dask_jobqueue.SLURMCluster``: cores, memory, queue, account, walltime, ...

    Raises
    ------
    SettingError
        If dask-jobqueue is not installed, ``cores`` or ``memory`` is missing, an option is unknown, or the shared
        folder cannot be written.
    """
    try:
        from dask_jobqueue.slurm import JobQueueCluster, SLURMCluster, SLURMJob
    except ImportError as error:
        raise SettingError("--dask slurm needs the package dask-jobqueue: pip install 'depthseed[slurm]'") from error
    import dask

    options: dict[str, Any] = {name: int(value) if value.isdigit() else value for name, value in settings.items()}
    jobs = options.pop("jobs", 1)
    missing = {"cores", "memory"} - options.keys()
    if missing:
        raise SettingError(f"section [slurm] of luigi.cfg lacks {', '.join(sorted(missing))}; add them")
    makers = (JobQueueCluster, *SLURMJob.__mro__)
    known = {name for maker in makers for name in inspect.signature(maker.__init__).parameters}  # type: ignore[misc]
    if unknown := sorted(options.keys() - known):
        raise SettingError(f"section [slurm] of luigi.cfg: unknown {', '.join(unknown)}; correct or remove it")
    with contextlib.ExitStack() as stack:
        shared = Path(options.pop("shared_temp_directory", "~")).expanduser()
        security = files_security(_section("dask") or stack.enter_context(_certificate_files(shared)))
        fixed = {
            "processes": options["cores"],  # one process per core: pydensecrf holds the GIL
            "security": security,
            "protocol": "tls://",
            "scheduler_options": {"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        }
        with dask.config.set(CLOSED):
            try:
                cluster = stack.enter_context(SLURMCluster(**fixed | options))
            except ValueError as error:
                raise SettingError(f"section [slurm] of luigi.cfg: {error}; correct it") from error
            cluster.scale(jobs=jobs)
        yield cluster


@contextlib.contextmanager
def _certificate_files(shared: Path) -> Iterator[dict[str, str]]:
    """A new certificate and its key as files: `TLS_FILES` -> path. The files are removed at the end."""
    from distributed.security import Security

    made = Security.temporary()
    contents = dict(zip(TLS_FILES, (made.tls_ca_file, made.tls_worker_cert, made.tls_worker_key), strict=True))
    try:
        folder = tempfile.TemporaryDirectory(prefix=".depthseed-tls-", dir=shared)  # only its owner may enter
    except OSError as error:
        raise SettingError(
            f"{shared}: cannot be written ({error.strerror}); give another shared_temp_directory in section [slurm] of "
            "luigi.cfg"
        ) from error
    with folder:
        paths = {name: Path(folder.name) / f"{name}.pem" for name in TLS_FILES}
        for name, content in contents.items():
            paths[name].write_text(content)
        yield {name: str(path) for name, path in paths.items()}


def security_of(address: str) -> Security | None:
    """How to connect to a running scheduler: by TLS with the files of luigi.cfg, or without any login.

    Parameters
    ----------
    address : str
        ``tls://host:port`` or ``tcp://host:port``. The latter gives one warning per process.

    Raises
    ------
    SettingError
        If the address has another scheme, or a file for TLS is missing or is none.
    """
    scheme, found, _ = address.partition("://")
    if scheme == "tls" and found:
        return files_security(_section("dask"))
    if found and scheme != "tcp":
        raise SettingError(f"--dask {address}: '{scheme}' is unknown; give tls://host:port, tcp://host:port or slurm")
    _warn_of_no_login(address)
    return None


@functools.cache  # one line per process
def _warn_of_no_login(address: str) -> None:
    log.warning(
        "--dask %s: a connection without TLS has no login; whoever reaches its port can run code there as the user of "
        "the workers; start scheduler and workers with TLS, see docs/security.md",
        address,
    )


def files_security(settings: Mapping[str, str]) -> Security:
    """The certificates that the section [dask] of luigi.cfg names.

    Parameters
    ----------
    settings : dict
        `TLS_FILES` -> path. Client, scheduler and workers that are started here use the same certificate.

    Raises
    ------
    SettingError
        If an option is missing or unknown, or a file is missing or is no certificate or key.
    """
    import ssl

    from distributed.security import Security

    if unknown := sorted(settings.keys() - set(TLS_FILES)):
        raise SettingError(f"section [dask] of luigi.cfg: unknown {', '.join(unknown)}; use {', '.join(TLS_FILES)}")
    if missing := [name for name in TLS_FILES if not settings.get(name)]:
        raise SettingError(
            f"a Dask scheduler with TLS needs {', '.join(missing)} in section [dask] of luigi.cfg; add the paths"
        )
    paths = {name: str(Path(settings[name]).expanduser()) for name in TLS_FILES}
    for name, path in paths.items():
        if not Path(path).is_file():
            raise SettingError(f"{path}: file is missing; correct {name} in section [dask] of luigi.cfg")
    roles = {
        f"tls_{role}_{name}": paths[name] for role in ("client", "scheduler", "worker") for name in ("cert", "key")
    }
    security = Security(tls_ca_file=paths["ca_file"], require_encryption=True, **roles)
    try:
        security.get_connection_args("client")
    except (ssl.SSLError, OSError) as error:
        raise SettingError(
            f"{', '.join(paths.values())}: cannot be used for TLS ({error.strerror or error}); correct "
            f"{', '.join(TLS_FILES)} in section [dask] of luigi.cfg"
        ) from error
    return security


def _section(name: str) -> dict[str, str]:
    config = luigi.configuration.get_config()
    return dict(config.items(name)) if config.has_section(name) else {}
