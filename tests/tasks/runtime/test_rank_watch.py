import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
import torch.distributed as dist

from tasks.runtime import rank_watch
from tasks.runtime.rank_exchange import RankExchange
from tasks.runtime.rank_watch import LOST, RankWatch


class Exited(Exception):
    pass


@pytest.fixture
def exits(monkeypatch):
    """Codes with which the process would have ended."""
    codes = []

    def leave(code):
        codes.append(code)
        raise Exited

    monkeypatch.setattr(rank_watch.os, "_exit", leave)
    monkeypatch.setattr(rank_watch, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(rank_watch, "SILENT_SECONDS", 2.0)  # a busy machine may let a thread wait for one second
    return codes


@pytest.fixture
def store(monkeypatch):
    """The store that torchrun provides."""
    server = dist.TCPStore("127.0.0.1", 0, is_master=True)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(server.port))
    return dist.PrefixStore("heartbeat", server)


@pytest.fixture
def stand_in():
    """A process that does nothing until it is ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def watch_of(tmp_path, rank=0, count=2, parent=0):
    return RankWatch(rank, count, RankExchange(tmp_path), "Test", parent)


def test_ranks_that_answer_are_let_alone(tmp_path, exits, store):
    watches = [watch_of(tmp_path, rank, 3) for rank in range(3)]
    for watch in watches:
        watch.start()
    time.sleep(2.5)
    assert [watch._lost() for watch in watches] == ["", "", ""]
    for watch in watches:
        watch.stop()
    time.sleep(0.1)
    assert exits == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the end of the process
def test_a_silent_rank_is_told_by_the_first_one(tmp_path, exits, store):
    first = watch_of(tmp_path, 0, 3)
    first.start()
    end = time.monotonic() + 60
    beat = 0
    while not exits and time.monotonic() < end:
        store.set("2", str(beat := beat + 1))  # rank 1 never answers
        time.sleep(0.02)
    first.stop()
    for thread in threading.enumerate():
        if thread.name == "watch of the ranks":
            thread.join(60)  # its exception belongs to this test, not to the next one
    assert exits == [LOST]
    assert "Test: rank 1 has not answered for 2 s, so all ranks have stopped" in str(first.exchange.error("Test"))


def test_a_store_that_does_not_answer_is_lost_and_torchrun_would_wait_for_it(tmp_path, exits, stand_in):
    watch = watch_of(tmp_path, 1)
    watch.torchrun = watch.guardians[0] = psutil.Process(stand_in.pid)
    assert watch._lost() == ""
    watch.answered -= 10
    assert watch._lost() == "the machine of rank 0"
    with pytest.raises(Exited):
        watch._look()
    assert exits == [LOST]
    assert "the machine of rank 0 has not answered" in str(watch.exchange.error("Test"))
    assert stand_in.wait(60) == -signal.SIGKILL


@pytest.mark.parametrize("is_reaped", [True, False])
def test_a_rank_ends_with_its_stage(tmp_path, exits, stand_in, is_reaped):
    watch = watch_of(tmp_path, parent=stand_in.pid)
    stand_in.kill()
    if is_reaped:
        stand_in.wait()
    else:
        while psutil.Process(stand_in.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
    with pytest.raises(Exited):
        watch._look()
    assert exits == [LOST]
    assert watch.exchange.failures() == {}


def test_the_first_rank_takes_requests_for_a_checkpoint(tmp_path, exits):
    taken = []
    watch = watch_of(tmp_path)

    def take(number, frame):
        taken.append(number)
        watch.stop()

    before = signal.signal(signal.SIGUSR1, take)
    try:
        watch.exchange.ask_for_checkpoint()
        watch._look()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert taken == [signal.SIGUSR1]
