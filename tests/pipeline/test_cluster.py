"""``--cluster slurm`` on a real SLURM: a training that is put into the queue again ends with the same bytes.

And docs/cluster.md: the file to submit, and the options of luigi.cfg.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support import CommandLine, contents, tiny_config

from tasks.runtime.slurm_settings import OPTIONS

DOCS = (Path(__file__).parents[2] / "docs/cluster.md").read_text()

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


def until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.3)
    return found


@pytest.fixture
def on_slurm(slurm_answers, rendered, tmp_path):
    """A command line whose stages before TrainClassifier are complete."""
    line = _command_line(tmp_path / "cluster", rendered)
    result = line.luigi("LoadDepth", "--processes", 1)  # it needs no cluster
    assert result.returncode == 0, result.stderr
    return line


def _command_line(folder: Path, data: Path) -> CommandLine:
    line = CommandLine(folder, data)
    line.folder.mkdir()
    first, _, rest = tiny_config().partition("[TrainClassifier]\n")
    (line.folder / "luigi.cfg").write_text(first + SECTIONS + rest[rest.index("[") :])
    return line


@pytest.mark.pipeline
def test_a_training_that_slurm_warns_goes_on_after_the_queue_with_the_same_bytes(on_slurm, rendered, tmp_path):
    alone, cluster = _command_line(tmp_path / "alone", rendered), on_slurm
    result = alone.luigi("TrainClassifier", "--processes", 1)
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
    _, errors = run.communicate(timeout=600)
    assert run.returncode == 0, errors
    assert "is pending (BeginTime)" in errors or "is running" in errors
    of = "bop/TrainClassifier/"
    found, expected = (
        {name: content for name, content in contents(line.artifacts).items() if name.startswith(of)}
        for line in (cluster, alone)
    )
    assert found.keys() == expected.keys()
    assert found == expected


@pytest.mark.pipeline
def test_what_a_job_has_trained_after_its_command_was_killed_is_taken(on_slurm):
    run = on_slurm.start("TrainClassifier", "--cluster", "slurm")
    (log,) = until(lambda: list(on_slurm.folder.glob("slurm-logs/TrainClassifier-*/*.log")))
    until(lambda: list(on_slurm.artifacts.glob("bop/TrainClassifier/*/checkpoint")))
    run.kill()
    run.communicate()
    until(lambda: slurm("squeue", "-h", "-j", log.stem, "-o", "%T", "--states=all").strip() in ("COMPLETED", ""))
    result = on_slurm.luigi("TrainClassifier", "--cluster", "slurm")
    assert result.returncode == 0, result.stderr
    assert "TrainClassifier: a job of an earlier run has trained it" in result.stderr
    assert list(on_slurm.folder.glob("slurm-logs/TrainClassifier-*/*.log")) == [log]
    assert not list((on_slurm.artifacts / "bop" / ".runs").glob("*.ranks"))


def test_every_option_of_the_jobs_is_in_the_docs():
    options = {name for known in OPTIONS.values() for name in known}
    assert [name for name in sorted(options) if f"`{name}`" not in DOCS] == []


@pytest.mark.parametrize(("ends", "requeued"), [(False, ["requeue 7"]), (True, [])])
def test_the_file_to_submit_goes_into_the_queue_again_if_the_command_is_not_done(tmp_path, ends, requeued):
    script = "#!/usr/bin/env bash\n" + DOCS.split("```bash\n#!/usr/bin/env bash\n")[1].split("```")[0]
    assert "/shared/depthseed" in script
    commands = {
        ".venv/bin/luigi": f"trap 'exit {0 if ends else 143}' TERM; touch started; while :; do sleep 0.1; done",
        "scontrol": f'echo "$@" >> {tmp_path}/told',
    }
    for name, text in commands.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "job.sh").write_text(script.replace("/shared/depthseed", str(tmp_path)))
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    job = subprocess.Popen(["bash", tmp_path / "job.sh"], env=environment)
    until(lambda: (tmp_path / "started").exists(), 30)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(timeout=30) == (0 if ends else 143)
    told = tmp_path / "told"
    assert (told.read_text().splitlines() if told.exists() else []) == requeued
