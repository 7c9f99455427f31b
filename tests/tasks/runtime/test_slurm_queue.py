"""Questions to SLURM: its answers, jobs that it has forgotten, and a controller that is silent for a while."""

import os

import pytest

from tasks.runtime import slurm_queue
from tasks.runtime.slurm_queue import GONE, SILENT, ask_slurm, job_state


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Sets what squeue prints."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def answers(script):
        (tmp_path / "squeue").write_text(f"#!/bin/sh\ncd {tmp_path}\n{script}\n")
        (tmp_path / "squeue").chmod(0o755)

    return answers


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo 'PENDING|Resources'", ("PENDING", "Resources")),
        ("echo 'RUNNING|None'", ("RUNNING", "None")),
        ("", (GONE, "")),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", (GONE, "")),
    ],
)
def test_the_state_of_a_job(squeue, script, found):
    squeue(script)
    assert job_state("17") == found


def test_a_silent_controller_is_asked_again(squeue, monkeypatch, caplog):
    monkeypatch.setattr(slurm_queue.time, "sleep", lambda seconds: None)
    squeue("[ -e asked ] && echo 'RUNNING|None' && exit; touch asked; echo 'Unable to contact controller' >&2; exit 1")
    assert job_state("17") == ("RUNNING", "None")


def test_a_controller_that_stays_silent_says_nothing_of_the_job(squeue, monkeypatch):
    """Its job may well go on: who took it for ended would submit a second one."""
    monkeypatch.setattr(slurm_queue.time, "sleep", lambda seconds: None)
    squeue("echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1")
    state, reason = job_state("17")
    assert state == SILENT
    assert "Unable to contact slurm controller" in reason


def test_a_missing_command_is_an_answer():
    answer = ask_slurm("no-such-command")
    assert answer.returncode == 1
    assert "no-such-command" in answer.stderr
