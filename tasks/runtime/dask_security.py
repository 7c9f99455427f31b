"""TLS of Dask: who may connect to a cluster.

The scheduler and the workers of Dask run any code that is sent to them. So the clusters that start here accept only
connections by TLS in which both sides show a certificate. The certificate of a cluster is made when it starts, and its
key is known to the processes of this cluster only. A file system socket would do for local processes, but Dask has
none. Its transport within one process, ``inproc``, would leave all computing to one interpreter.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import luigi

from data.errors import SettingError

if TYPE_CHECKING:
    from distributed.security import Security

log = logging.getLogger("depthseed")

TLS_FILES = ("ca_file", "cert", "key")
"""Options of the section [dask] of luigi.cfg: the certificate of the authority, and ours with its key, as PEM files."""

CLOSED = {
    # The pages show names of images and log lines to every user of the machine.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.scheduler.allowed-failures": 0,  # `DaskWorkers` sends the job of a dead worker again
    "distributed.logging.distributed": "error",
}
"""Settings of Dask for every cluster that starts here."""


@contextlib.contextmanager
def certificate_files(shared: Path) -> Iterator[dict[str, str]]:
    """A new certificate and its key as files: `TLS_FILES` -> path. The files are removed at the end.

    Raises
    ------
    SettingError
        If the folder cannot be written.
    """
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
        return files_security(dask_section())
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


def dask_section() -> dict[str, str]:
    """The section [dask] of luigi.cfg; empty if there is none."""
    config = luigi.configuration.get_config()
    return dict(config.items("dask")) if config.has_section("dask") else {}
