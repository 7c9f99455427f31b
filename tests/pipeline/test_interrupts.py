"""Ctrl-C and SIGTERM in every phase: one line, the exit code of a shell, and the next run ends with the same bytes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from support import contents, luigi_command, with_hook

pytestmark = pytest.mark.pipeline

SENDER = Path(__file__).parent / "kill"
LINES = {
    signal.SIGINT: "stopped by Ctrl-C (SIGINT); what is complete is kept: run the same command again to go on",
    signal.SIGTERM: "stopped by SIGTERM; what is complete is kept: run the same command again to go on",
}


def take_ctrl_c():
    """Tests that a shell runs in the background ignore Ctrl-C, and so would the commands that they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Run:
    """The real command in a process group of its own, as a shell starts it."""

    def __init__(self, line, *arguments, **environment):
        self.process = subprocess.Popen(
            luigi_command("RunAll", *line.flags(), *arguments), cwd=line.folder, env=os.environ | environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=take_ctrl_c,
        )  # fmt: skip

    def said(self, text: str) -> None:
        """Read its log up to a line with this text."""
        assert any(text in said for said in self.process.stderr)

    def ended_by(self, number: int) -> float:
        """Check exit code, output and that no process is left. Returns the seconds until then."""
        begun = time.monotonic()
        try:
            output, errors = self.process.communicate(timeout=300)
        finally:
            self.process.kill()  # nothing happens to it if it has ended
        lines = errors.splitlines()
        assert (self.process.returncode, lines[-1:]) == (128 + number, [LINES[number]]), errors
        assert output == ""
        # Only log lines of the stages, which begin with the time, stand above it.
        assert [line for line in lines[:-1] if not line[:2].isdigit()] == []
        for _ in range(100):
            try:
                os.killpg(self.process.pid, 0)
            except ProcessLookupError:
                return time.monotonic() - begun
            time.sleep(0.1)
        raise AssertionError("a process of the group is left")


def sending(number: int, stage: str, group: bool) -> dict[str, str]:
    """The environment with which the command gets a signal in a stage."""
    found = {"DEPTHSEED_KILL": stage, "DEPTHSEED_SIGNAL": str(int(number)), "PYTHONPATH": with_hook(SENDER)}
    return found | ({"DEPTHSEED_GROUP": "1"} if group else {})


def test_signals_in_every_phase(here, finished_once):
    for number, stage, group, processes in (
        (signal.SIGINT, "planning", True, 1),
        (signal.SIGTERM, "planning", False, 1),
        (signal.SIGINT, "LoadDepth", True, 2),
        (signal.SIGTERM, "LoadDepth", True, 2),
        (signal.SIGTERM, "LoadDepth", False, 2),
        (signal.SIGTERM, "TrainClassifier", False, 1),
        (signal.SIGINT, "ExtractCams", True, 1),
    ):
        shutil.rmtree(here.artifacts / "bop" / stage, ignore_errors=True)  # else there is nothing left to do
        run = Run(here, "--processes", str(processes), **sending(number, stage, group))
        run.ended_by(number)
        assert not list((here.artifacts / "bop").glob(f"{stage}/*/COMPLETE.json"))
    result = here.luigi("ExtractCams", "--processes", 1)
    assert result.returncode == 0, result.stderr
    ended, expected = contents(here.artifacts), contents(finished_once.artifacts)
    assert {"IndexDataset", "LoadDepth", "TrainClassifier", "ExtractCams"} <= {name.split("/")[1] for name in ended}
    assert [name for name in ended if ended[name] != expected.get(name)] == []


@pytest.mark.parametrize("number", LINES)
def test_signals_while_another_run_holds_the_lock(command_line, number):
    run = Run(command_line, "--processes", "1", **sending(signal.SIGKILL, "IndexDataset", False))
    run.process.communicate(timeout=300)
    (path,) = (command_line.artifacts / "bop" / ".locks").glob("IndexDataset*.lock")
    with FileLock(path):
        run = Run(command_line)
        run.said("waiting for it")
        run.process.send_signal(number)
        assert run.ended_by(number) < 60


def test_an_interrupt_of_the_program_that_imports_it_stays_its_own():
    code = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
import pipeline
os.kill(os.getpid(), signal.SIGTERM)
assert sys.excepthook.__module__ != "pipeline.interrupts"
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_second_signal_ends_it_at_once():
    code = """
import os, signal, sys, time
import pipeline
import atexit
atexit.register(lambda: print("cleaning up", flush=True) or time.sleep(60))
os.kill(os.getpid(), signal.SIGTERM)
"""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], preexec_fn=take_ctrl_c, **pipes) as process:
        assert process.stdout.readline() == b"cleaning up\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == -signal.SIGINT


def test_other_exceptions_and_other_processes_are_left_alone():
    code = """
import os, signal, sys
import pipeline
if not (child := os.fork()):
    os.kill(os.getpid(), signal.SIGTERM)
_, status = os.waitpid(child, 0)
assert os.WTERMSIG(status) == signal.SIGTERM
raise ZeroDivisionError("bug")
"""
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.endswith("ZeroDivisionError: bug\n")
