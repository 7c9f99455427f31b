import logging
import os
import time

import pytest
from distributed import Client, LocalCluster
from distributed.security import Security
from strangers import attempts

from data.errors import SettingError
from tasks.runtime import dask_clusters
from tasks.runtime.dask_clusters import dask_client
from tasks.runtime.dask_security import files_security
from tasks.runtime.executors import executor_for
from tasks.runtime.slurm_settings import CPU, GPU


def number_of_process(job):
    return os.getpid()


def twice(number):
    return 2 * number


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
@pytest.mark.parametrize("kind", [CPU, GPU])
def test_dask_writes_nothing_of_its_own_beside_our_lines(kind, capfd):
    with dask_client(1, "", kind, ["0"] if kind == GPU else ()) as client:
        logging.getLogger("distributed.scheduler").critical("Closed comm while trying to write")
        client.run(logging.getLogger("distributed.worker").critical, "from a worker")
    assert capfd.readouterr() == ("", "")


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


@pytest.mark.parametrize("address", ["nonsense", "tcp://", "tcp://host", ":::", "tcp://a:b"])
def test_an_address_that_is_none_is_named(address, monkeypatch):
    monkeypatch.setattr(dask_clusters, "SECONDS_TO_ANSWER", 0.5)
    with pytest.raises(SettingError, match=f"no Dask scheduler answers at '{address}' "), dask_client(1, address):
        pass


def surroundings(folder):
    """What a worker sees; it first waits until another worker has a job, too."""
    (folder / str(os.getpid())).touch()
    until = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    return os.getpid(), os.environ["CUDA_VISIBLE_DEVICES"], os.environ["OMP_NUM_THREADS"]


@pytest.mark.pipeline
def test_one_local_worker_for_each_gpu_sees_it_alone(monkeypatch, tmp_path):
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(dask_clusters, "usable_cores", lambda: 6)
    results = set(executor_for(1, 8, kind="gpu", devices=("5", "7")).map(surroundings, [tmp_path] * 8))
    assert {(device, threads) for _, device, threads in results} == {("5", "3"), ("7", "3")}
    assert len(results) == 2


async def offer_a_gpu(dask_worker):
    await dask_worker.set_resources(GPU=1)


@pytest.mark.pipeline
def test_jobs_for_a_gpu_go_to_the_workers_of_a_scheduler_that_have_one():
    quiet = {"dashboard_address": None, "silence_logs": 50}
    with LocalCluster(n_workers=1, threads_per_worker=1, **quiet) as cluster:
        address = cluster.scheduler_address
        assert len(set(executor_for(1, 4, address, kind="gpu").map(number_of_process, range(4)))) == 1  # without GPUs
        with dask_client(1, address, "gpu") as client:
            cluster.scale(2)
            client.wait_for_workers(2)
            first, second = client.scheduler_info()["workers"]
            client.run(offer_a_gpu, workers=[second])
            expected = set(client.run(os.getpid, workers=[second]).values())
        assert set(executor_for(1, 4, address, kind="gpu").map(number_of_process, range(4))) == expected
        assert len(set(executor_for(1, 8, address).map(number_of_process, range(8)))) == 2
