"""The network of a stage over images: decoding ahead in threads, and several batches under way.

On a GPU, images are decoded, copied, computed and fetched at the same time, each for another batch. On the CPU, every
core computes an image of its own with one torch thread. There, larger batches only need more memory.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from data.sample import Sample
from tasks.runtime.device_use import DeviceUse
from tasks.runtime.devices import usable_cores
from tasks.runtime.precision import as_float32, autocast
from tasks.runtime.tensors import batches_of_one_size, image_bytes

if TYPE_CHECKING:
    from tasks.runtime.image_stage import ImageStage

READERS = 16
"""Largest number of threads that decode images for a network."""

AHEAD = 3
"""Batches under way on a GPU: one is decoded and copied, one is computed, one is fetched."""


@dataclass(frozen=True)
class BatchNetwork:
    """A network that is ready to compute, in three steps.

    Attributes
    ----------
    device : torch.device
        Where `infer` gets the images.
    infer : callable
        (values of a batch on the device, (B, ...); its samples) -> dict of name -> Tensor on the device.
    results : callable
        (what `infer` returned, on the CPU; the samples) -> one result per sample.
    read : callable
        sample -> Tensor. It is called in any thread. The default is the image as bytes, (3, H, W) uint8.
    lanes : int
        Largest number of batches that may be computed at the same time; 0 = any.
    autocasts : bool
        True if all of `infer` runs in the precision of the stage; False if `infer` sees to that itself.
    """

    device: torch.device
    infer: Callable[[Tensor, Sequence[Sample]], Mapping[str, Tensor]]
    results: Callable[[Mapping[str, Tensor], Sequence[Sample]], Iterable[Any]]
    read: Callable[[Sample], Tensor] = image_bytes
    lanes: int = 0
    autocasts: bool = True


@dataclass(frozen=True)
class NetworkSource:
    """Everything that a process needs to load the network of a stage. It can be sent to a worker.

    Attributes
    ----------
    stage : ImageStage
    inputs : dict
        What `ImageStage.network_inputs` returned.
    key : str
        Hash of all that decides the network: the stage, its parameters, and what it reads. A worker of a running
        scheduler outlives runs. It loads a network once for all sources with this key.
    lanes : int
        Number of threads that compute on the CPU.
    values_per_pixel : float
        `ImageStage.values_per_pixel`, which a worker cannot ask the stage for: it may depend on the data set.
    """

    stage: ImageStage
    inputs: Mapping[str, Any]
    key: str
    lanes: int
    values_per_pixel: float

    def load(self) -> NetworkMap:
        """The network on the device of this process."""
        network, stage = self.stage.network(**self.inputs), self.stage
        return NetworkMap(network, stage.batch_size, self.values_per_pixel, self.lanes, stage.resolved_precision)

    def kept(self) -> NetworkMap:
        """Same as `load`. The process keeps the network for its next shards, until it gets one of another stage."""
        with _KEEPING:
            if self.key not in _KEPT:
                _KEPT.clear()  # first: there may be no memory for two
                _KEPT[self.key] = self.load()
            return _KEPT[self.key]


_KEPT: dict[str, NetworkMap] = {}
_KEEPING = threading.Lock()
"""Held while `_KEPT` is used: a worker of a user's own scheduler may have several threads."""


@dataclass
class _Batch:
    """A batch under way: the place of its images in their shard, and what will be their results."""

    places: Sequence[int]
    results: Future
    is_last: bool
    """True for the last batch of a shard."""


class NetworkMap:
    """Runs a network over the images of shards.

    Parameters
    ----------
    network : BatchNetwork
    batch_size : int
        Images per batch on a GPU.
    values_per_pixel : float
        As of `tasks.runtime.tensors.batches_of_one_size`.
    lanes : int
        Number of threads that compute on the CPU.
    precision : str
        ``32`` or ``bf16`` (`tasks.runtime.precision`).

    Attributes
    ----------
    use : DeviceUse
        Measured since the start, or since it was set anew.
    """

    def __init__(
        self, network: BatchNetwork, batch_size: int, values_per_pixel: float, lanes: int, precision: str = "32"
    ):
        self.network, self.values_per_pixel = network, values_per_pixel
        self.on_gpu = network.device.type == "cuda"
        self.batch_size = batch_size if self.on_gpu else 1
        self.lanes = 1 if self.on_gpu else max(1, min(lanes, network.lanes or lanes))
        self.precision = precision
        self.use = DeviceUse()
        # Kept for all shards: cuDNN plans each convolution anew in each new thread, which takes seconds.
        self._gpu_lane = _GpuLane(self) if self.on_gpu else None

    def shards(self, shards: Iterable[Sequence[Sample]]) -> Iterator[list[Any]]:
        """Yield the results of each shard, one per image, in the order of the shards and of their images.

        While a shard is computed, the images of the next one are decoded. At most `AHEAD` batches are under way on a
        GPU, and two per thread on the CPU.
        """
        readers = min(READERS, usable_cores())
        window = AHEAD if self.on_gpu else 2 * self.lanes
        under_way: deque[_Batch] = deque()
        found: dict[int, Any] = {}
        lane = self._gpu_lane or _CpuLanes(self)
        with ThreadPoolExecutor(readers) as pool, lane:
            try:
                for batch in self._batches(shards, pool, lane):
                    under_way.append(batch)
                    while len(under_way) >= window:
                        yield from self._finish(under_way.popleft(), found)
                while under_way:
                    yield from self._finish(under_way.popleft(), found)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                for batch in under_way:
                    batch.results.cancel()

    def _batches(self, shards: Iterable[Sequence[Sample]], pool: ThreadPoolExecutor, lane: _Lane) -> Iterator[_Batch]:
        for samples in shards:
            batches = list(batches_of_one_size(samples, self.batch_size, self.values_per_pixel))
            for number, places in enumerate(batches):
                here = [samples[place] for place in places]
                reads = [pool.submit(self.network.read, sample) for sample in here]
                yield _Batch(places, lane.submit(reads, here), number == len(batches) - 1)

    @staticmethod
    def _finish(batch: _Batch, found: dict[int, Any]) -> Iterator[list[Any]]:
        found.update(zip(batch.places, batch.results.result(), strict=True))
        if batch.is_last:
            yield [found.pop(place) for place in range(len(found))]


class _Lane(contextlib.AbstractContextManager):
    """Computes batches: `submit` takes the reads of a batch and returns the future list of its results."""

    def __init__(self, run: NetworkMap):
        self.run, self.network = run, run.network
        self.precision = run.precision if run.network.autocasts else "32"
        self.lock = threading.Lock()

    def count(self, use: DeviceUse) -> None:
        """Add what was measured for a batch."""
        with self.lock:
            self.run.use.add(use)

    def submit(self, reads: Sequence[Future], samples: Sequence[Sample]) -> Future:
        raise NotImplementedError

    def infer(self, values: Tensor, samples: Sequence[Sample]) -> Mapping[str, Tensor]:
        """What the network returns for a batch on the device."""
        with torch.inference_mode():
            with autocast(self.network.device, self.precision):
                found = self.network.infer(values, samples)
            return as_float32(found)


class _CpuLanes(_Lane):
    """Threads that compute one batch each, with one torch thread: so the results do not depend on their number."""

    def __init__(self, run: NetworkMap):
        super().__init__(run)
        run.use.device = "cpu"
        self.threads_before = torch.get_num_threads()
        self.pool = ThreadPoolExecutor(run.lanes, initializer=torch.set_num_threads, initargs=(1,))

    def __exit__(self, *error) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(self.threads_before)

    def submit(self, reads: Sequence[Future], samples: Sequence[Sample]) -> Future:
        return self.pool.submit(self._computed, reads, samples)

    def _computed(self, reads: Sequence[Future], samples: Sequence[Sample]) -> list[Any]:
        begun = time.perf_counter()
        values = torch.stack([read.result() for read in reads])
        ready = time.perf_counter()
        found = list(self.network.results(self.infer(values, samples), samples))
        self.count(DeviceUse(waited=ready - begun, seconds=time.perf_counter() - begun))
        return found


class _GpuLane(_Lane):
    """One thread that gives batches to the GPU, and one that fetches their results. Copies run in a stream apart."""

    def __init__(self, run: NetworkMap):
        super().__init__(run)
        device = self.network.device
        self.copies = torch.cuda.Stream(device)
        self.given, self.fetched = (
            ThreadPoolExecutor(1, initializer=torch.cuda.set_device, initargs=(device,)) for _ in range(2)
        )
        self.last_end: torch.cuda.Event | None = None

    def __enter__(self):
        self.run.use.device = torch.cuda.get_device_name(self.network.device)
        torch.cuda.reset_peak_memory_stats(self.network.device)
        self.last_end = None
        return self

    def __exit__(self, *error) -> None:
        """Wait until nothing is under way. The threads stay for the next shards."""
        for thread in (self.given, self.fetched):
            thread.submit(int).result()

    def submit(self, reads: Sequence[Future], samples: Sequence[Sample]) -> Future:
        done: Future = Future()
        self.given.submit(self._give, reads, samples, done)
        return done

    def _give(self, reads: Sequence[Future], samples: Sequence[Sample], done: Future) -> None:
        try:
            values = torch.stack([read.result() for read in reads]).pin_memory()
            with torch.cuda.stream(self.copies):
                moved = values.to(self.network.device, non_blocking=True)
            stream = torch.cuda.current_stream(self.network.device)
            stream.wait_stream(self.copies)
            moved.record_stream(stream)
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record(stream)
            outputs = self.infer(moved, samples)
            fetched = {
                name: torch.empty(value.shape, dtype=value.dtype, pin_memory=True).copy_(value, non_blocking=True)
                for name, value in outputs.items()
            }
            end.record(stream)
            before, self.last_end = self.last_end, end
            self.fetched.submit(self._fetch, fetched, samples, before, begin, end, done)
        except BaseException as error:  # it is raised where the results are awaited
            done.set_exception(error)

    def _fetch(self, fetched, samples, before, begin, end, done: Future) -> None:
        try:
            end.synchronize()
            idle = before.elapsed_time(begin) / 1000 if before is not None else 0.0
            busy = begin.elapsed_time(end) / 1000
            memory = torch.cuda.max_memory_allocated(self.network.device)
            self.count(DeviceUse(waited=idle, seconds=idle + busy, memory=memory))
            done.set_result(list(self.network.results(fetched, samples)))
        except BaseException as error:  # it is raised where the results are awaited
            done.set_exception(error)
