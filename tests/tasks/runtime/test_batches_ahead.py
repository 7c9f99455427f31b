import time

import torch

from tasks.runtime.batches_ahead import StepTimes, on_device

CPU = torch.device("cpu")


def test_batches_come_in_order_and_in_the_layout_of_networks():
    given = [{"image": torch.full((2, 3, 4, 4), float(n)), "tags": torch.tensor([n])} for n in range(3)]
    found = list(on_device(given, CPU, torch.channels_last))
    assert [int(batch["tags"]) for batch in found] == [0, 1, 2]
    for one, other in zip(found, given, strict=True):
        assert torch.equal(one["image"], other["image"])
        assert one["image"].is_contiguous(memory_format=torch.channels_last)


def test_waiting_is_told_from_computing():
    times = StepTimes(CPU)
    for _ in range(3):
        time.sleep(0.02)
        times.begin()
        time.sleep(0.06)
        times.end()
    use = times.read()
    assert use.device == "cpu"
    assert 0.04 <= use.waited < use.seconds  # the wait for the first batch is the start of the loader
    assert use.seconds >= 0.22
    assert use.waited < use.seconds / 2
    before = use.seconds
    time.sleep(0.05)
    times.pause()
    times.begin()
    times.end()
    assert times.read().seconds - before < 0.04  # the pause is left out
