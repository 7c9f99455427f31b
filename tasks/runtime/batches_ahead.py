"""Batches on their way to the device, and the time that the device waits for them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from tasks.runtime.device_use import DeviceUse

Batch = dict[str, Tensor]


def on_device(batches: Iterable[Batch], device: torch.device, layout: torch.memory_format) -> Iterator[Batch]:
    """Yield batches on the device, their images in a memory format. On a GPU, the next one is copied meanwhile."""
    if device.type != "cuda":
        for batch in batches:
            yield _ordered({name: values.to(device) for name, values in batch.items()}, layout)
        return
    copies, ahead = torch.cuda.Stream(device), None
    for batch in batches:
        with torch.cuda.stream(copies):
            moved = {name: values.to(device, non_blocking=True) for name, values in batch.items()}
            done = copies.record_event()
        if ahead is not None:
            yield _arrived(*ahead, layout)
        ahead = moved, done
    if ahead is not None:
        yield _arrived(*ahead, layout)


def _arrived(batch: Batch, done: torch.cuda.Event, layout: torch.memory_format) -> Batch:
    stream = torch.cuda.current_stream()
    stream.wait_event(done)
    for values in batch.values():
        values.record_stream(stream)
    return _ordered(batch, layout)


def _ordered(batch: Batch, layout: torch.memory_format) -> Batch:
    batch["image"] = batch["image"].contiguous(memory_format=layout)
    return batch


class StepTimes:
    """Measures how long the device computes steps, and how long it waits between them.

    Attributes
    ----------
    use : DeviceUse
        What was measured until the last `read`.
    """

    def __init__(self, device: torch.device):
        self.device, self.on_gpu = device, device.type == "cuda"
        self.use = DeviceUse(torch.cuda.get_device_name(device) if self.on_gpu else "cpu")
        if self.on_gpu:
            torch.cuda.reset_peak_memory_stats(device)
        self.marks: list[Any] = []

    def _mark(self):
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def begin(self) -> None:
        """The batch is there. The wait for the first one is the start of the loader, which does not count."""
        self.marks += [self._mark()] if self.marks else [self._mark()] * 2

    def end(self) -> None:
        """The step is given to the device."""
        self.marks.append(self._mark())

    def read(self) -> DeviceUse:
        """Add up what was measured since the last call. Waits for the device."""
        if self.on_gpu and self.marks:
            self.marks[-1].synchronize()
            self.use.memory = torch.cuda.max_memory_allocated(self.device)
        for before, begin, end in zip(self.marks[:-2:2], self.marks[1:-1:2], self.marks[2::2], strict=True):
            self.use.waited += self._between(before, begin)
            self.use.seconds += self._between(before, end)
        self.marks = self.marks[-1:]
        return self.use

    def pause(self) -> None:
        """Leave out the time until now: no step was computed."""
        self.read()
        self.marks = [self._mark()] if self.marks else []

    def _between(self, first, second) -> float:
        return first.elapsed_time(second) / 1000 if self.on_gpu else second - first
