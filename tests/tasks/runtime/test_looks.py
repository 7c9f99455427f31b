import pytest
import torch

from tasks.runtime import looks
from tasks.runtime.looks import LOOK_STEPS, Looks
from tasks.runtime.ranks import Ranks
from tasks.runtime.stop_requests import StopRequests

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(looks.time, "monotonic", lambda: now[0])
    return now


def test_a_gpu_is_not_waited_for_at_each_step(clock):
    found = Looks(Ranks(), StopRequests(), 0.0, GPU)
    assert [step for step in range(120) if found.is_due(step)] == [0, LOOK_STEPS, 2 * LOOK_STEPS]
    found = Looks(Ranks(), StopRequests(), 0.0, CPU)
    assert all(found.is_due(step) for step in range(120))


def test_a_signal_and_the_time_are_reasons_to_look(clock):
    asked = StopRequests()
    found = Looks(Ranks(), asked, 10.0, GPU)
    assert not found.is_due(1)
    asked.wants_checkpoint = True
    assert found.is_due(1)
    found.agree(1)
    assert found.wants_checkpoint
    assert not found.wants_end
    found.saved()
    assert not found.is_due(1)
    clock[0] += 601
    assert found.is_due(1)
    found.agree(1)
    assert found.wants_checkpoint
    found.saved()
    found.agree(2)
    assert not found.wants_checkpoint


def test_without_minutes_the_time_is_no_reason(clock):
    found = Looks(Ranks(), StopRequests(), 0.0, GPU)
    clock[0] += 10**6
    assert not found.is_due(1)


class TwoRanks(Ranks):
    """The other rank has the wishes `other`."""

    other = [0, 1, 0]

    def largest(self, values):
        return [max(pair) for pair in zip(values, self.other, strict=True)]


def test_ranks_agree_on_what_one_of_them_wants_and_on_the_next_look(clock):
    found = Looks(TwoRanks(0, 2), StopRequests(), 0.0, GPU)
    assert found.is_due(0)
    clock[0] += 0.1
    found.agree(0)
    assert (found.wants_checkpoint, found.wants_end) == (False, True)
    assert not found.is_due(9)
    assert found.is_due(10)  # 0.1 s a step: about a second
    clock[0] += 3600
    found.agree(10)
    assert found.is_due(11)  # slow steps: after each
