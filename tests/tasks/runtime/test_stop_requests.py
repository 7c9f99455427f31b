import os
import signal
import threading

import pytest

from tasks.runtime import stop_requests
from tasks.runtime.stop_requests import StopRequests


class Ended(Exception):
    pass


def end(number, frame):
    raise Ended


@pytest.fixture
def handlers():
    """SIGTERM raises `Ended`, SIGUSR1 is counted."""
    taken = []
    before = [
        signal.signal(signal.SIGTERM, end),
        signal.signal(signal.SIGUSR1, lambda number, frame: taken.append(number)),
    ]
    yield taken
    signal.signal(signal.SIGTERM, before[0])
    signal.signal(signal.SIGUSR1, before[1])


def send(number):
    os.kill(os.getpid(), number)


def test_sigterm_waits_until_it_is_asked_for(handlers):
    with StopRequests() as asked:
        assert not asked.wants_checkpoint
        send(signal.SIGTERM)
        assert asked.wants_checkpoint
        assert asked.wants_end
        asked.saved()
        assert not asked.wants_checkpoint
        with pytest.raises(Ended):
            asked.end()
    assert signal.getsignal(signal.SIGTERM) is end


def test_one_request_may_come_twice_but_a_later_one_ends_at_once(handlers, monkeypatch):
    with StopRequests() as asked:
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        monkeypatch.setattr(stop_requests, "SAME_SECONDS", -1.0)
        with pytest.raises(Ended):
            send(signal.SIGTERM)
    assert asked.wants_end


def test_sigusr1_wants_a_checkpoint_and_has_its_effect(handlers):
    with StopRequests() as asked:
        send(signal.SIGUSR1)
        assert asked.wants_checkpoint
        assert not asked.wants_end
    assert handlers == [signal.SIGUSR1]


def test_sigusr1_ends_no_process_that_does_not_know_it(handlers):
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    with StopRequests() as asked:
        send(signal.SIGUSR1)
        assert asked.wants_checkpoint


def test_an_ignored_signal_stays_ignored(handlers):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with StopRequests() as asked:
        send(signal.SIGTERM)
        assert not asked.wants_end
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_in_another_thread_nothing_changes(handlers):
    found = []

    def enter():
        with StopRequests() as asked:
            found.append(asked.before)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [{}]
