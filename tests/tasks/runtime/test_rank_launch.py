"""Trainings in two ranks, as real processes: the same result as one, and one line where a rank fails."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta

import psutil
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from tasks.runtime.rank_launch import END_SECONDS, LOCAL, rank_command, rank_environment

LOSSES = ("--TrainClassifier-isl-weight", "0.3", "--TrainClassifier-deal-weight", "1")
CASES = {
    "TrainClassifier": ("--method", "superpixel", "--TrainClassifier-ramp-start", "0", *LOSSES),
    "TrainSegmenter": ("--method", "superpixel"),
    "TrainByMasking": (
        "--method", "masking", "--TrainByMasking-freeze-batch-norm", "false", "--TrainByMasking-accumulate", "2",
    ),
    "TrainCoarse": ("--method", "coarse", "--TrainCoarse-batch-size", "3"),
}  # fmt: skip
"""Stage -> flags: batch norm learns or is frozen; batches are cut into equal or unequal parts."""


def written(line, stage):
    """History and weights of the only artifact of a stage."""
    (folder,) = (line.artifacts / "bop" / stage).glob("[0-9a-f]*")
    return json.loads((folder / "history.json").read_text()), load_file(folder / "model.safetensors")


@pytest.mark.pipeline
@pytest.mark.parametrize("stage", CASES)
def test_two_ranks_train_as_one(finished, stage):
    here = finished  # the stages upstream are complete
    shutil.rmtree(here.artifacts / "bop" / stage, ignore_errors=True)
    # Adam divides by the size of a gradient: near 0, it makes weights of rounding errors.
    flags = ("--processes", 1, *CASES[stage], f"--{stage}-optimizer", "sgd")
    result = here.luigi(stage, *flags)
    assert result.returncode == 0, result.stderr
    history, weights = written(here, stage)
    place = here.artifacts / "bop" / stage
    place.rename(place.with_name("alone"))
    result = here.luigi(stage, *flags, f"--{stage}-ranks", 2)
    assert result.returncode == 0, result.stderr
    assert f"{stage}: 2 ranks train it" in result.stderr
    shared, other = written(here, stage)
    for epoch, same in zip(history, shared, strict=True):
        assert same == pytest.approx(epoch, rel=1e-5)
    for name, values in weights.items():
        torch.testing.assert_close(other[name], values, rtol=1e-4, atol=1e-5)
    assert not list((here.artifacts / "bop" / ".runs").glob("*.ranks"))


RENDEZVOUS = "torch.rendezvous.depthseed"
"""Key of what torchrun knows of the machines."""

LONG = ("--method", "coarse", "--TrainCoarse-batch-size", "2", "--processes", 1, "--TrainCoarse-ranks", 2)

EPOCHS = 20
"""Of a training that is interrupted: some seconds."""


class LongTraining:
    """A training in two ranks that takes long."""

    def __init__(self, line, epochs):
        self.line, self.begun = line, time.time_ns()
        self.process = line.start("TrainCoarse", *map(str, (*LONG, "--TrainCoarse-epochs", epochs)))

    def file(self, pattern):
        found = list((self.line.artifacts / "bop").glob(pattern))
        return found[0] if found else None

    def wait_for_steps(self):
        """Wait until the ranks have written a checkpoint."""
        end = time.monotonic() + 300  # on a busy machine, torch alone may take a minute to start
        while not (found := self.file("TrainCoarse/*/checkpoint")) or found.stat().st_mtime_ns < self.begun:
            assert time.monotonic() < end
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.05)

    def ranks(self):
        """The processes of the ranks, in the order of their numbers."""
        found = [child for child in psutil.Process(self.process.pid).children(recursive=True) if _is_rank(child)]
        return sorted(found, key=lambda child: int(child.environ()["RANK"]))

    def ended(self):
        """Exit code, log and seconds until the end."""
        begun = time.monotonic()
        _, errors = self.process.communicate(timeout=300)
        return self.process.returncode, errors, time.monotonic() - begun


@pytest.fixture
def start(here):
    """A function (epochs) -> `LongTraining`; none is left after the test."""
    started = []

    def start(epochs):
        started.append(LongTraining(here, epochs))
        return started[-1]

    yield start
    for training in started:
        training.process.kill()
        training.process.communicate()


def _is_rank(process):
    command = process.cmdline()
    return "tasks.runtime.rank" in command and "tasks.runtime.rank_agent" not in command


def assert_gone(processes):
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert alive == []


@pytest.mark.pipeline
def test_no_port_takes_pickles_and_a_rank_that_is_killed_ends_the_stage_with_one_line(start):
    """What torchrun knows of the machines is a pickle. Whoever can write it decides what this user runs."""
    training = start(2000)
    training.wait_for_steps()
    folder = training.file(".runs/*.ranks")
    assert folder.stat().st_mode & 0o077 == 0
    assert RENDEZVOUS.encode() in (folder / "meeting").read_bytes()
    (agent,) = [
        child for child in psutil.Process(training.process.pid).children() if "rank_agent" in str(child.cmdline())
    ]
    answers = []
    for port in {found.laddr.port for found in agent.net_connections("tcp") if found.status == psutil.CONN_LISTEN}:
        store = dist.TCPStore(LOCAL, port, is_master=False, timeout=timedelta(seconds=20), wait_for_workers=False)
        answers.append(store.check([RENDEZVOUS]))
    assert answers == [False]  # the store by which the ranks tell their addresses
    assert folder.stat().st_mode & 0o077 == 0
    assert RENDEZVOUS.encode() in (folder / "meeting").read_bytes()

    ranks = training.ranks()
    assert len(ranks) == 2
    ranks[1].send_signal(signal.SIGKILL)
    code, errors, seconds = training.ended()
    assert code == 30, errors
    assert "Traceback" not in errors
    assert "ERROR: TrainCoarse: rank 1 was ended by SIGKILL, so all ranks have stopped; their log is " in errors
    assert seconds < 30
    assert_gone(ranks)


@pytest.mark.pipeline
def test_a_rank_that_does_not_answer_ends_the_stage_within_a_minute(start):
    training = start(5000)
    training.wait_for_steps()
    ranks = training.ranks()
    ranks[1].send_signal(signal.SIGSTOP)
    code, errors, seconds = training.ended()
    assert code == 30, errors
    assert "ERROR: TrainCoarse: rank 1 has not answered for 20 s, so all ranks have stopped; run the same" in errors
    assert seconds < 75  # 20 until it is noticed, 30 until torchrun ends it; the rest is for a busy machine
    assert_gone(ranks)


@pytest.mark.pipeline
def test_without_its_stage_no_rank_is_left(start):
    training = start(2000)
    training.wait_for_steps()
    processes = psutil.Process(training.process.pid).children(recursive=True)
    training.process.kill()
    training.process.communicate()
    assert_gone(processes)


@pytest.mark.pipeline
def test_sigterm_writes_a_checkpoint_and_the_next_run_ends_with_the_same_bytes(start, here):
    whole = ("TrainCoarse", *LONG, "--TrainCoarse-epochs", EPOCHS)
    assert here.luigi(*whole).returncode == 0
    place = here.artifacts / "bop" / "TrainCoarse"
    place.rename(place.with_name("undisturbed"))
    training = start(EPOCHS)
    training.wait_for_steps()
    time.sleep(0.4)
    before = training.file("TrainCoarse/*/checkpoint").stat().st_mtime_ns
    training.process.send_signal(signal.SIGTERM)
    code, errors, seconds = training.ended()
    assert code == 128 + signal.SIGTERM, errors
    assert errors.splitlines()[-1].startswith("stopped by SIGTERM; what is complete is kept")
    assert seconds < END_SECONDS
    assert training.file("TrainCoarse/*/checkpoint").stat().st_mtime_ns > before
    assert here.luigi(*whole).returncode == 0
    for name in ("model.safetensors", "history.json"):
        (one,), (other,) = (
            list((place.with_name(folder)).glob(f"*/{name}")) for folder in ("undisturbed", "TrainCoarse")
        )
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.pipeline
def test_an_error_for_the_user_in_a_rank_is_that_of_the_stage(here):
    result = here.luigi("TrainCoarse", *LONG, "--TrainCoarse-learning-rate", "1e30", "--TrainCoarse-clip-norm", "0")
    assert result.returncode == 30
    assert "Traceback" not in result.stderr
    assert "ERROR: TrainCoarse: the loss is nan at step " in result.stderr


def test_more_ranks_than_images_of_a_batch_are_refused(here):
    result = here.luigi("TrainCoarse", "--method", "coarse", "--processes", 1, "--TrainCoarse-ranks", 5)
    assert result.returncode == 30
    assert "TrainCoarse: 5 ranks share a batch of 4 images; set --TrainCoarse-ranks to 4 or less" in result.stderr


def test_the_command_of_one_machine_and_of_several(tmp_path):
    one = rank_command(tmp_path, 8)
    assert one[:3] == [sys.executable, "-m", "tasks.runtime.rank_agent"]
    assert one[one.index("--local-addr") + 1] == LOCAL
    assert one[one.index("--rdzv-endpoint") + 1] == str(tmp_path / "meeting")
    assert one[-3:] == ["-m", "tasks.runtime.rank", str(tmp_path)]
    several = rank_command(tmp_path, 8, nodes=4, meeting="again", address="10.0.0.2")
    assert several[several.index("--nnodes") + 1] == "4"
    assert several[several.index("--rdzv-endpoint") + 1] == str(tmp_path / "again")
    assert several[several.index("--local-addr") + 1] == "10.0.0.2"


def test_the_environment_keeps_what_the_user_has_set(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert rank_environment(2)["OMP_NUM_THREADS"] == "3"
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert rank_environment(1000)["OMP_NUM_THREADS"] == "1"
    assert rank_environment(2)["GLOO_SOCKET_IFNAME"] == "lo"
    assert "GLOO_SOCKET_IFNAME" not in rank_environment(2, nodes=2)
    found = subprocess.run(
        [sys.executable, "-c", "import tasks; print(tasks.__file__)"], env=rank_environment(1), cwd="/",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert os.path.samefile(found.stdout.strip(), sys.modules["tasks"].__file__)
