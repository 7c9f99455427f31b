import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from luigi.rpc import RemoteScheduler

from tasks.extract_keys import ExtractKeys
from tasks.index_dataset import IndexDataset
from tasks.runtime.luigi_seam import forget_instances
from tasks.train_classifier import TrainClassifier


@pytest.fixture
def luigid(tmp_path):
    """Address of a central scheduler."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("luigid"), "--address", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(
        [*command, "--state-path", tmp_path / "state"], cwd=tmp_path, stderr=subprocess.DEVNULL
    ) as process:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def started(address: str, machine: str, stage) -> str | None:
    """What the scheduler gives to a worker on a machine that wants to run a stage."""
    scheduler, worker = RemoteScheduler(address), f"worker for {stage.task_id} on {machine}"
    scheduler.add_worker(worker, [])
    scheduler.add_task(worker=worker, task_id=stage.task_id, resources=stage.process_resources())
    return scheduler.get_work(worker=worker, host=machine)["task_id"]


@pytest.mark.pipeline
def test_a_central_scheduler_runs_one_stage_with_a_network_on_each_machine(luigid, monkeypatch, in_process):
    voc, coco = ExtractKeys(dataset="voc"), TrainClassifier(dataset="coco")
    for machine, stage, expected in (
        ("a", voc, voc.task_id),
        ("a", coco, None),
        ("b", coco, coco.task_id),
    ):
        monkeypatch.setattr(socket, "gethostname", lambda machine=machine: machine)
        assert started(luigid, machine, stage) == expected


def test_only_a_network_on_this_machine_counts():
    forget_instances()
    assert IndexDataset().process_resources() == {}
    of_machine = {f"gpu@{socket.gethostname()}": 1}
    assert ExtractKeys().process_resources() == TrainClassifier().process_resources() == of_machine
    assert ExtractKeys(dask="slurm").process_resources() == {}
    assert TrainClassifier(dask="slurm").process_resources() == of_machine
    assert TrainClassifier(cluster="slurm").process_resources() == {}
