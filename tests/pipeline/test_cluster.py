"""``--cluster slurm`` on a real SLURM: a training that is put into the queue again ends with the same bytes."""

import subprocess
import time
from pathlib import Path

import pytest
from support import CommandLine, contents, tiny_config

pytestmark = pytest.mark.pipeline

SECTIONS = """
[TrainClassifier]
backbone=test_efficientnet
weights=random
epochs=40
least_steps=0
batch_size=4
[slurm]
cores=1
memory=2GB
walltime=00:10:00
"""


def slurm(*command) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.3)
    return found


def test_a_training_that_slurm_warns_goes_on_after_the_queue_with_the_same_bytes(slurm_answers, rendered, tmp_path):
    alone, cluster = (CommandLine(tmp_path / name, rendered) for name in ("alone", "cluster"))
    for line in (alone, cluster):
        line.folder.mkdir()
        text = tiny_config()
        first, _, rest = text.partition("[TrainClassifier]\n")
        (line.folder / "luigi.cfg").write_text(first + SECTIONS + rest[rest.index("[") :])
    result = alone.luigi("TrainClassifier", "--processes", 1)
    assert result.returncode == 0, result.stderr
    result = cluster.luigi("LoadDepth", "--processes", 1)  # the rest needs no cluster
    assert result.returncode == 0, result.stderr

    run = cluster.start("TrainClassifier", "--cluster", "slurm")
    (log,) = until(lambda: list(cluster.folder.glob("slurm-logs/TrainClassifier-*/*.log")))
    job = log.stem
    checkpoint = until(lambda: list(cluster.artifacts.glob("bop/TrainClassifier/*/checkpoint")))
    assert isinstance(checkpoint[0], Path)
    slurm("scancel", "--signal=USR1", "--batch", job)  # what SLURM does before the time limit
    until(lambda: "goes into the queue again" in log.read_text())
    until(lambda: "PENDING" in slurm("squeue", "-h", "-j", job, "-o", "%T"))
    slurm("scontrol", "update", f"JobId={job}", "StartTime=now")  # SLURM would wait for two minutes
    _, errors = run.communicate(timeout=180)
    assert run.returncode == 0, errors
    assert "is pending (BeginTime)" in errors or "is running" in errors
    of = "bop/TrainClassifier/"
    found, expected = (
        {name: content for name, content in contents(line.artifacts).items() if name.startswith(of)}
        for line in (cluster, alone)
    )
    assert found.keys() == expected.keys()
    assert found == expected
