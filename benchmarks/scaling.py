"""Weak scaling of the stages over images: the same number of images for each worker, on one and on more workers.

    python benchmarks/scaling.py [--workers 1,2] [--dask slurm] [--repeats 3] [--stages PredictMasks,LoadDepth]
    python benchmarks/scaling.py --data-root DIR/set --shard-size 32    # DIR: the --folder of benchmarks/scale.py

Runs the whole pipeline on the demo set, or on a folder set, with short trainings. Each stage over images gets its jobs
as in a real run: a shard is a job, and its worker runs the network, too. The jobs are divided into as many parts as
there are workers in the largest cluster. One worker computes each part alone, n workers compute n parts at once.
Efficiency is the time of one part on one worker, divided by the time of n parts on n workers (medians). 1 is perfect.

The workers are local processes, or SLURM jobs of one core: ``--dask slurm``, sections [slurm] and [slurm-cpu] of
luigi.cfg with enough ``jobs``. The nodes must see the working directory. The workers run while all stages are measured,
and their start is shown apart. Networks run on the CPU, in one thread.

The machine must have a free core for each worker, and one for the process that sends the jobs.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import itertools
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import luigi
import numpy as np

from pipeline.run_all import RunAll
from tasks.runtime import counting, placement
from tasks.runtime.dask_clusters import dask_client
from tasks.runtime.dask_jobs import DaskJobs
from tasks.runtime.executors import GPU, single_threaded

SETTINGS = {
    "TrainClassifier": {"epochs": 1, "least_steps": 0, "backbone": "test_efficientnet", "weights": "random"},
    "TrainSegmenter": {"epochs": 1, "least_steps": 0, "backbone": "test_efficientnet", "weights": "random"},
    "ExtractKeys": {"image_scale": 1},
    "PredictMasks": {"train_scales": "1", "evaluation_scales": "1"},
}
"""Parameters of single stages: the trainings are not measured."""

STAGES = ("LoadDepth", "ExtractCams", "ExtractKeys", "DiscoverSuperpixels", "GenerateSeeds", "PredictMasks")
"""The stages that get the shard size of the command line."""


class Workers:
    """A cluster of which a part of the workers is used.

    Parameters
    ----------
    count : int
        Number of workers.
    dask : str
        ``slurm``, or empty for local processes.
    """

    def __init__(self, count: int, dask: str, stack: contextlib.ExitStack):
        self.count, self.dask = count, dask
        begun = time.perf_counter()
        self.client = stack.enter_context(dask_client(count, dask))
        self.client.wait_for_workers(count)
        self.client.run(importlib.import_module, "torch")
        self.start = time.perf_counter() - begun
        self.addresses = list(self.client.scheduler_info(n_workers=-1)["workers"])
        self._use(count)

    def _use(self, count: int) -> None:
        for number, address in enumerate(self.addresses):
            self.client.run(_offer, int(number < count), workers=[address])

    def seconds(self, function: Callable, jobs: list, used: int) -> tuple[float, float]:
        """How long the jobs take on some of the workers, and the CPU seconds of this process meanwhile."""
        self._use(used)
        begun = time.perf_counter(), time.process_time()
        list(self.results(function, jobs))
        return time.perf_counter() - begun[0], time.process_time() - begun[1]

    def results(self, function: Callable, jobs: Iterable[Any]) -> Iterator[Any]:
        """Computed by the workers that offer the resource GPU: it tells here which ones are used."""
        computed = functools.partial(single_threaded, function)
        return DaskJobs(self.client, computed, self.dask, 0, GPU).results(jobs)


async def _offer(count: int, dask_worker) -> None:
    await dask_worker.set_resources(GPU=count)


class Measured:
    """An executor that measures its jobs on several numbers of workers.

    Parameters
    ----------
    workers : Workers
    counts : list of int
        Numbers of workers, from 1 to all.
    repeats : int
    wanted : set of str
        Labels of the stages to measure; empty = all.

    Attributes
    ----------
    rows : list
        A row for each stage and number of workers: stage, shards, images, workers, seconds, CPU seconds of this
        process, efficiency.
    """

    def __init__(self, workers: Workers, counts: list[int], repeats: int, wanted: frozenset[str]):
        self.workers, self.counts, self.repeats, self.wanted = workers, counts, repeats, wanted
        self.rows: list[tuple] = []

    def map(self, function: Callable, jobs: Iterable[Any]) -> Iterator[Any]:
        listed = list(jobs)
        owner = getattr(listed[0].compute, "__self__", None)
        name = owner.label if owner is not None else "EvaluateMasks"
        if len(listed) >= self.workers.count and (not self.wanted or name in self.wanted):
            self._measure(name, function, listed)
        yield from self.workers.results(function, listed)

    def _measure(self, name: str, function: Callable, jobs: list) -> None:
        most = self.counts[-1]
        size = len(jobs) // most
        parts = [jobs[start : start + size] for start in range(0, size * most, size)]
        for _ in range(2):  # each worker loads the network
            self.workers.seconds(function, jobs[: 2 * most], most)
        seconds = defaultdict(list)
        for _, count in itertools.product(range(self.repeats), self.counts):
            if count == 1:  # on each part: they may differ in their cost
                alone = [self.workers.seconds(function, part, 1) for part in parts]
                seconds[1].append(np.mean(alone, axis=0))
            else:
                together = list(itertools.chain.from_iterable(parts[:count]))
                seconds[count].append(self.workers.seconds(function, together, count))
        for count in self.counts:
            taken, sender = np.median(seconds[count], axis=0)
            images = sum(len(job.samples) for part in parts[:count] for job in part)
            efficiency = np.median(seconds[1], axis=0)[0] / taken
            self.rows.append((name, size * count, images, count, taken, sender, efficiency))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", default="1,2", help="numbers of workers, separated by commas; the first is 1")
    parser.add_argument("--dask", default="", choices=("", "slurm"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data-root", default="", help="a folder set; default: the demo set")
    parser.add_argument("--shard-size", type=int, default=8, help="images per shard; the pipeline's own default is 32")
    parser.add_argument("--stages", default="", help="labels of the stages to measure, empty = all")
    given = parser.parse_args()
    counts = [int(count) for count in given.workers.split(",")]
    if counts[0] != 1 or counts != sorted(set(counts)):
        parser.error("--workers must begin with 1 and grow")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir="." if given.dask else None))
        workers = Workers(counts[-1], given.dask, stack)
        measured = Measured(workers, counts, given.repeats, frozenset(filter(None, given.stages.split(","))))
        for module in (placement, counting):
            module.executor_for = lambda *arguments, **more: measured
        place = {"dataset": "folder", "data_root": given.data_root} if given.data_root else {}
        settings = {stage: {"shard_size": given.shard_size} | SETTINGS.get(stage, {}) for stage in STAGES}
        task = RunAll(
            artifacts=str(Path(folder).absolute()), device="cpu", processes=1, settings=SETTINGS | settings,
            dask="tcp://measured", **place,
        )  # fmt: skip
        if not luigi.build([task], local_scheduler=True, workers=1, no_lock=True):
            raise SystemExit("the pipeline failed; see the lines above")
    print(f"\nstart of {workers.count} workers: {workers.start:.1f} s, not a part of the times below")
    heads = f"{'seconds':>8} {'images/s':>8} {'sender CPU s':>13} {'efficiency':>10}"
    print(f"{'stage':28} {'shards':>6} {'images':>6} {'workers':>7} {heads}")
    for name, shards, images, count, seconds, sender, efficiency in measured.rows:
        numbers = f"{seconds:8.2f} {images / seconds:8.1f} {sender:13.2f} {efficiency:10.2f}"
        print(f"{name:28} {shards:6} {images:6} {count:7} {numbers}")


if __name__ == "__main__":
    main()
