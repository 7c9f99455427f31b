"""Time of the dense CRF for several numbers of classes, for both engines, and for 1 and 2 processes.

    python benchmarks/crf.py [--repeats 5] [--shards 8]

Prints medians and ratios of one run on rendered images of 320x240 with random candidate classes, 10 iterations:

- present classes only, as in the stages, against all 21 classes of PASCAL VOC;
- the torch engine against pydensecrf;
- shards of 32 images with 1 and 2 processes, as in the stages, with probabilities in 16 bits. The start of the
  processes is measured separately.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

from data.demo.scenes import render_demo
from data.files.images import read_image
from models.crf import crf_from_probabilities
from models.crf_constants import CRF_PRESETS
from tasks.runtime.executors import DaskWorkers, ThisProcess, single_threaded
from tasks.runtime.layout import SHARD_SIZE

CONSTANTS = CRF_PRESETS["irn"]


def rendered_images(count: int) -> list[np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        render_demo(Path(folder) / "set", {"train": (1, count)}, seed=0)
        return [read_image(file) for file in sorted(Path(folder).glob("set/train/*/rgb/*.jpg"))]


def problem(image: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The image with smooth probabilities of `classes` classes. Each class has some blobs."""
    rng = np.random.default_rng(0)
    scores = np.stack([ndimage.gaussian_filter(rng.standard_normal(image.shape[:2]), 12) for _ in range(classes)])
    scores = np.exp(8 * scores / scores.std())
    return image, scores / scores.sum(0)


def refine(problems: list[tuple[np.ndarray, np.ndarray]]) -> int:
    """A shard of images."""
    for image, probabilities in problems:
        crf_from_probabilities(image, probabilities.astype(np.float32), CONSTANTS)
    return len(problems)


def seconds_of(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def seconds_of_processes(count: int, shards: list) -> tuple[float, float]:
    """Seconds until the processes have answered empty shards, and seconds from there to the last result."""
    begun = time.perf_counter()
    results = DaskWorkers(count).map(refine, [[]] * count + shards)
    for _ in range(count):
        next(results)
    started = ended = time.perf_counter()
    for _ in results:
        ended = time.perf_counter()
    return started - begun, ended - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--shards", type=int, default=8)
    arguments = parser.parse_args()
    print(f"320x240, {CONSTANTS.iterations} iterations, median of {arguments.repeats}, seed 0")
    images = rendered_images(SHARD_SIZE)
    medians: dict[tuple[int, str], float] = {}
    for classes in (2, 4, 21):
        image, probabilities = problem(images[0], classes)
        for engine in ("pydensecrf", "torch"):
            medians[classes, engine] = statistics.median(
                seconds_of(
                    lambda engine=engine, image=image, probabilities=probabilities: single_threaded(
                        lambda chosen: crf_from_probabilities(image, probabilities, CONSTANTS, chosen), engine
                    )
                )
                for _ in range(arguments.repeats)
            )
        ours, torch = medians[classes, "pydensecrf"], medians[classes, "torch"]
        print(f"{classes:3d} classes: pydensecrf {ours:.3f} s per image, torch {torch:.3f} s, ratio {torch / ours:.2f}")
    ratio = medians[21, "pydensecrf"] / medians[2, "pydensecrf"]
    print(f"present classes only (2 of 21): {ratio:.1f} times as fast")
    problems = [(image, values.astype(np.float16)) for image, values in (problem(image, 4) for image in images)]
    shards = [problems] * arguments.shards
    single_threaded(refine, problems)  # warm-up
    alone, pair, starts = [], [], []
    for _ in range(arguments.repeats):
        alone.append(seconds_of(lambda: list(ThisProcess().map(refine, shards))))
        start, computed = seconds_of_processes(2, shards)
        starts.append(start)
        pair.append(computed)
    one, two, start = (statistics.median(seconds) for seconds in (alone, pair, starts))
    print(
        f"{arguments.shards * SHARD_SIZE} images of 4 classes: 1 process {one:.2f} s, 2 processes {two:.2f} s, "
        f"ratio {one / two:.2f}; start of the processes {start:.2f} s"
    )


if __name__ == "__main__":
    main()
