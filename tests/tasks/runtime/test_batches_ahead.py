import torch

from tasks.runtime import batches_ahead
from tasks.runtime.batches_ahead import StepTimes, on_device

CPU = torch.device("cpu")


def test_batches_come_in_order_and_in_the_layout_of_networks():
    given = [{"image": torch.full((2, 3, 4, 4), float(n)), "tags": torch.tensor([n])} for n in range(3)]
    found = list(on_device(given, CPU, torch.channels_last))
    assert [int(batch["tags"]) for batch in found] == [0, 1, 2]
    for one, other in zip(found, given, strict=True):
        assert torch.equal(one["image"], other["image"])
        assert one["image"].is_contiguous(memory_format=torch.channels_last)


def test_waiting_is_told_from_computing(monkeypatch):
    now = 0.0
    monkeypatch.setattr(batches_ahead.time, "perf_counter", lambda: now)
    times = StepTimes(CPU)
    for _ in range(3):
        now += 2
        times.begin()
        now += 6
        times.end()
    use = times.read()
    assert use.device == "cpu"
    assert (use.waited, use.seconds) == (4, 22)  # the wait for the first batch is the start of the loader
    now += 5
    times.pause()
    times.begin()
    times.end()
    assert (use.waited, times.read().seconds) == (4, 22)  # the pause is left out
