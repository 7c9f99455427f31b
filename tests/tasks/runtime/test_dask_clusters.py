import os
import subprocess
import sys

import luigi.configuration
import pytest
from distributed import Client, LocalCluster
from distributed.security import Security

from data.errors import SettingError
from tasks.runtime import dask_clusters
from tasks.runtime.dask_clusters import dask_client, files_security, security_of, slurm_cluster
from tasks.runtime.executors import executor_for

STRANGER = """
import os, sys
from distributed import Client
from distributed.security import Security
address, certificate, user = sys.argv[1:]
own = Security.temporary() if certificate == "own" else None
if user == "nobody":
    os.setgid(65534)
    os.setuid(65534)
try:
    client = Client(address, timeout=2, security=own)
    print("ran code as user", client.submit(os.getuid).result(timeout=5), flush=True)
except Exception as error:
    print("refused", flush=True)
os._exit(0)
"""
"""Another process that tries to run code on a cluster, without a certificate or with one of its own."""


def attempts(address: str, user: str) -> set[str]:
    """What comes of it, over TLS and without."""
    said = set()
    for scheme, certificate in (("tls", "none"), ("tls", "own"), ("tcp", "none")):
        tried = [address.replace("tls:", f"{scheme}:"), certificate, user]
        result = subprocess.run([sys.executable, "-c", STRANGER, *tried], capture_output=True, text=True, timeout=60)
        said.add(result.stdout.strip() or result.stderr)
    return said


def number_of_process(job):
    return os.getpid()


def twice(number):
    return 2 * number


@pytest.fixture
def section():
    """Sets a section of luigi.cfg for one test."""
    config = luigi.configuration.get_config()
    names = []

    def fill(name, **values):
        names.append(name)
        for option, value in values.items():
            config.set(name, option, str(value))

    yield fill
    for name in names:
        config.remove_section(name)


@pytest.fixture
def tls_files(tmp_path) -> dict[str, str]:
    """A certificate that is its own authority, and its key, as files."""
    made = Security.temporary()
    for name, content in (("ca_file", made.tls_ca_file), ("cert", made.tls_client_cert), ("key", made.tls_client_key)):
        (tmp_path / f"{name}.pem").write_text(content)
    return {name: str(tmp_path / f"{name}.pem") for name in ("ca_file", "cert", "key")}


@pytest.mark.pipeline
def test_no_other_process_can_use_a_local_cluster():
    with dask_client(1, "") as client:
        address = client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        workers = client.scheduler_info()["workers"]
        assert all(worker.startswith("tls://") for worker in [*workers, *(one["nanny"] for one in workers.values())])
        assert attempts(address, "same") == {"refused"}
        assert client.submit(number_of_process, 0).result() != os.getpid()


@pytest.mark.pipeline
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_no_other_user_can_use_a_local_cluster():
    with dask_client(1, "") as client:
        assert attempts(client.scheduler.address, "nobody") == {"refused"}


@pytest.mark.pipeline
def test_the_web_pages_of_a_local_cluster_tell_nothing():
    from urllib.error import HTTPError
    from urllib.request import urlopen

    with dask_client(1, "") as client:
        ports = [
            client.cluster.scheduler.http_server.port,
            client.run(lambda dask_worker: dask_worker.http_server.port),
        ]
        ports = [ports[0], *ports[1].values()]
        assert len(ports) == 2
        for port in ports:
            for page in ("", "health", "metrics", "json/identity.json", "info/main/workers.html", "sysmon", "status"):
                with pytest.raises(HTTPError, match="404"):
                    urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5)


@pytest.mark.pipeline
def test_a_running_scheduler_with_tls_by_the_files_of_luigi_cfg(tls_files, section, log_lines):
    section("dask", **tls_files)
    with LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs=50, security=files_security(tls_files)
    ) as cluster:
        address = cluster.scheduler_address
        assert address.startswith("tls://")
        assert sorted(executor_for(1, 3, address).map(twice, range(3))) == [0, 2, 4]
        assert len(cluster.scheduler.workers) == 1  # it stays
        with pytest.raises(TypeError):
            Client(address, timeout=5)
    assert log_lines == []


@pytest.mark.pipeline
def test_a_running_scheduler_without_tls_gives_one_warning(log_lines):
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        address = cluster.scheduler_address
        for _ in range(2):
            assert sorted(executor_for(1, 3, address).map(number_of_process, range(3))) != [os.getpid()] * 3
    (line,) = log_lines
    assert line.startswith(f"--dask {address}: a connection without TLS has no login")


@pytest.mark.pipeline
def test_a_certificate_of_somebody_else_is_refused(tls_files, section, monkeypatch):
    monkeypatch.setattr(dask_clusters, "SECONDS_TO_ANSWER", 2)
    section("dask", **tls_files)
    with (
        LocalCluster(n_workers=0, dashboard_address=None, silence_logs=50, security=Security.temporary()) as cluster,
        pytest.raises(SettingError, match="no Dask scheduler answers at 'tls://127.0.0.1:"),
    ):
        list(executor_for(1, 1, cluster.scheduler_address).map(twice, [1]))


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(dask_clusters, "SECONDS_TO_ANSWER", 0.5)
    with pytest.raises(SettingError, match="no Dask scheduler answers at 'tcp://127.0.0.1:1'"):
        list(executor_for(1, 1, "tcp://127.0.0.1:1").map(twice, [1]))


@pytest.mark.parametrize("address", ["foo://x", "inproc://1", "ucx://a:1", "http://a:8786"])
def test_an_address_of_another_kind_is_named(address):
    with pytest.raises(SettingError, match=f"--dask {address}: '.*' is unknown; give tls://host:port"):
        security_of(address)


@pytest.mark.parametrize("address", ["nonsense", "tcp://", "tcp://host", ":::", "tcp://a:b"])
def test_an_address_that_is_none_is_named(address, monkeypatch):
    monkeypatch.setattr(dask_clusters, "SECONDS_TO_ANSWER", 0.5)
    with pytest.raises(SettingError, match=f"no Dask scheduler answers at '{address}' "), dask_client(1, address):
        pass


def test_tls_without_its_files_is_one_line(tls_files, tmp_path, section):
    with pytest.raises(SettingError, match=r"needs ca_file, cert, key in section \[dask\] of luigi.cfg"):
        security_of("tls://host:8786")
    with pytest.raises(SettingError, match=r"needs key in section \[dask\]"):
        files_security({name: path for name, path in tls_files.items() if name != "key"})
    with pytest.raises(SettingError, match=r"unknown keys; use ca_file, cert, key"):
        files_security(tls_files | {"keys": "x"})
    with pytest.raises(SettingError, match=r"none.pem: file is missing; correct cert in section \[dask\]"):
        files_security(tls_files | {"cert": str(tmp_path / "none.pem")})
    (tmp_path / "empty.pem").write_text("")
    for name in tls_files:
        with pytest.raises(SettingError, match=r"empty.pem.*cannot be used for TLS \(.*\); correct ca_file, cert, key"):
            files_security(tls_files | {name: str(tmp_path / "empty.pem")})


def test_slurm_settings_that_cannot_be_used_are_one_line(tmp_path):
    right = {"cores": "4", "memory": "8GB", "jobs": "0"}
    for wrong, line in (
        ({"jobs": "2"}, r"\[slurm\] of luigi.cfg lacks cores, memory"),
        (right | {"colour": "red"}, r"section \[slurm\] of luigi.cfg: unknown colour; correct or remove it"),
        (right | {"shared_temp_directory": str(tmp_path / "none")}, r"none: cannot be written .*shared_temp_directory"),
    ):
        with pytest.raises(SettingError, match=line), slurm_cluster(wrong):
            pass


def test_slurm_jobs_are_described_by_luigi_cfg(tmp_path):
    settings = {"cores": "4", "memory": "8GB", "queue": "cpu", "walltime": "00:30:00", "jobs": "0"}
    with slurm_cluster(settings | {"shared_temp_directory": str(tmp_path)}) as cluster:
        script = cluster.job_script()
        assert cluster.scheduler_address.startswith("tls://")
        (folder,) = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        for option in ("ca-file", "cert", "key"):
            assert f"--tls-{option} {folder / option.replace('-', '_')}.pem" in script
    assert not folder.exists()
    assert "#SBATCH -p cpu" in script
    assert "--nworkers 4" in script
    assert "--protocol tls://" in script


def test_slurm_jobs_use_the_files_of_luigi_cfg(tls_files, section):
    section("dask", **tls_files)
    with slurm_cluster({"cores": "4", "memory": "8GB", "jobs": "0"}) as cluster:
        script = cluster.job_script()
    for option in ("ca-file", "cert", "key"):
        assert f"--tls-{option} {tls_files[option.replace('-', '_')]}" in script
