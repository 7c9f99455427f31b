import contextlib
import errno
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from filelock import FileLock

from data.errors import StoreError
from tasks.runtime import lock as module
from tasks.runtime.lock import TRAINING, artifact_lock, is_locked, is_trained

HOLD = """
import sys, time
from pathlib import Path
from tasks.runtime.lock import artifact_lock
with artifact_lock(Path(sys.argv[1]), "LoadDepth", "LoadDepth-abc"):
    print("held", flush=True)
    sys.stdin.read()
"""
"""A run that holds a lock until its stdin is closed."""


NEVER = b'{"host": "a", "pid": 1, "since": 1e999, "command": "c"}'
TWO_LINES = b'{"host": "a", "pid": 1, "since": 1, "command": "c\\nERROR: all is lost"}'
NOBODY = b'{"host": "a", "pid": -1, "since": 1, "command": "c"}'


@pytest.fixture
def other_run(tmp_path):
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def quick(monkeypatch):
    """Lines every tenth of a second."""
    monkeypatch.setattr(module, "SECONDS_PER_LINE", 0.1)


def note_of(folder, **changes):
    """Write a note as another run would have left it."""
    note = folder / ".locks" / "LoadDepth-abc.json"
    note.parent.mkdir(exist_ok=True)
    note.write_text(json.dumps({"host": "robo1", "pid": 1, "since": time.time(), "command": "luigi RunAll"} | changes))
    return note


@contextlib.contextmanager
def held_for(seconds, folder):
    """The lock is held for a time by something that leaves no note of its own."""
    (folder / ".locks").mkdir(exist_ok=True)
    lock = FileLock(folder / ".locks" / "LoadDepth-abc.lock", thread_local=False)
    lock.acquire()
    timer = threading.Timer(seconds, lock.release)
    timer.start()
    yield
    timer.join()


def dead_process():
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_second_run_waits_until_the_first_has_ended(tmp_path, log_lines):
    order, held, waiting = [], threading.Event(), threading.Event()

    def second():
        held.wait(60)
        waiting.set()
        with artifact_lock(tmp_path, "LoadDepth", "LoadDepth-abc"):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with artifact_lock(tmp_path, "LoadDepth", "LoadDepth-abc"):
        held.set()
        waiting.wait(60)
        thread.join(0.3)
        assert thread.is_alive()
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]
    (line,) = log_lines
    assert line.startswith("LoadDepth: another run is computing LoadDepth-abc; waiting for it; host ")


def test_another_artifact_has_another_lock(tmp_path):
    with artifact_lock(tmp_path, "LoadDepth", "one"), artifact_lock(tmp_path, "LoadDepth", "two"):
        assert {path.name for path in (tmp_path / ".locks").glob("*.lock")} == {"one.lock", "two.lock"}


def test_the_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="broken"), artifact_lock(tmp_path, "LoadDepth", "one"):
        raise ValueError("broken")
    with artifact_lock(tmp_path, "LoadDepth", "one"):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match=r"file/.locks: cannot be written \(.*\); choose another folder"),
        artifact_lock(tmp_path / "file", "LoadDepth", "one"),
    ):
        pass


def test_who_waits_is_told_by_whom_the_lock_is_held(tmp_path, log_lines, other_run, quick):
    threading.Timer(0.5, other_run.stdin.close).start()
    with artifact_lock(tmp_path, "LoadDepth", "LoadDepth-abc"):
        note = json.loads((tmp_path / ".locks" / "LoadDepth-abc.json").read_text())
        assert note["pid"] == os.getpid()
    assert not (tmp_path / ".locks" / "LoadDepth-abc.json").exists()
    assert len(log_lines) > 2
    holder = (
        rf"host {re.escape(socket.gethostname())}, process {other_run.pid}, since 20\d\d-.*, command: -c {tmp_path}"
    )
    assert re.fullmatch(rf"LoadDepth: another run is computing LoadDepth-abc; waiting for it; {holder}", log_lines[0])
    assert re.fullmatch(rf"LoadDepth: .*; waiting for it for \d s; {holder}", log_lines[1])


def test_the_lock_of_a_killed_run_is_free_and_its_note_does_not_confuse(tmp_path, log_lines, other_run):
    other_run.send_signal(signal.SIGKILL)
    other_run.wait()
    assert (tmp_path / ".locks" / "LoadDepth-abc.json").exists()
    with artifact_lock(tmp_path, "LoadDepth", "LoadDepth-abc"):
        pass
    assert log_lines == []


def test_a_lock_that_outlives_its_run_gives_advice(tmp_path, log_lines, quick):
    note_of(tmp_path, host=socket.gethostname(), pid=dead_process())
    with held_for(0.5, tmp_path), artifact_lock(tmp_path, "LoadDepth", "LoadDepth-abc"):
        pass
    assert "has ended" not in log_lines[0]  # a new run may not have written its note yet
    lock = tmp_path / ".locks" / "LoadDepth-abc.lock"
    assert log_lines[1].endswith(
        f"; this process has ended, but not all that it started: find it with 'fuser {lock}' and end it"
    )


def test_a_lock_of_another_machine_gives_advice_after_hours(tmp_path, log_lines, quick):
    note_of(tmp_path, since=time.time() - 3600)
    with held_for(0.5, tmp_path), artifact_lock(tmp_path, "LoadDepth", "LoadDepth-abc"):
        pass
    assert not any("delete" in line for line in log_lines)
    log_lines.clear()
    note_of(tmp_path, since=time.time() - 7 * 3600)
    with held_for(0.5, tmp_path), artifact_lock(tmp_path, "LoadDepth", "LoadDepth-abc"):
        pass
    assert "host robo1, process 1, since" in log_lines[1]
    lock = tmp_path / ".locks" / "LoadDepth-abc.lock"
    assert f"; if that machine or run is dead, delete {lock} and this run goes on; if it computes" in log_lines[1]


def test_a_lock_file_that_is_deleted_lets_the_waiting_run_go_on(tmp_path, other_run, quick):
    threading.Timer(0.3, (tmp_path / ".locks" / "LoadDepth-abc.lock").unlink).start()
    with artifact_lock(tmp_path, "LoadDepth", "LoadDepth-abc"):
        assert other_run.poll() is None


def test_a_run_elsewhere_that_did_not_release_its_lock_is_told(tmp_path, log_lines):
    note_of(tmp_path)
    with artifact_lock(tmp_path, "LoadDepth", "LoadDepth-abc"):
        pass
    (line,) = log_lines
    assert line.startswith("LoadDepth: the last run on LoadDepth-abc did not release it (host robo1, process 1, since")
    assert line.endswith("if it still computes, stop one of the two")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b"\xff", b'{"host": "a"}', b'{"host": 1, "pid": "x", "since": {}}', NEVER, NOBODY, TWO_LINES],
)
def test_a_damaged_note_is_no_note(tmp_path, log_lines, content):
    note_of(tmp_path).write_bytes(content)
    with held_for(0.3, tmp_path), artifact_lock(tmp_path, "LoadDepth", "LoadDepth-abc"):
        pass
    assert log_lines == ["LoadDepth: another run is computing LoadDepth-abc; waiting for it; it has not told its name"]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_one_line(tmp_path, monkeypatch, number):
    def refuse(descriptor, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(
            StoreError, match=r"\.locks: this file system has no file locks \(.*give another folder with --art"
        ),
        artifact_lock(tmp_path, "LoadDepth", "LoadDepth-abc"),
    ):
        pass
    assert not list((tmp_path / ".locks").glob("*.json"))


def test_a_training_whose_command_has_gone_holds_its_artifact(tmp_path):
    with artifact_lock(tmp_path, "TrainCoarse", f"TrainCoarse-abc{TRAINING}"):
        assert is_trained(tmp_path, "TrainCoarse-abc")
        assert is_locked(tmp_path, "TrainCoarse-abc")
        assert not is_locked(tmp_path, "TrainCoarse-abcd")
    assert not is_locked(tmp_path, "TrainCoarse-abc")
