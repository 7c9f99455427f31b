"""What the page of ``python -m pipeline view`` costs with many images: lists, numbers and memory.

::

    python benchmarks/view.py --images 100000 --folder DIR

The images share some files; each has a label map and logits of its own in real stores. So the time of a list, of a
page, and of the numbers by which it is sorted is that of a set of this size. The time to open a run is not in it.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from data.files.labels import label_png
from data.sample import EVALUATION, TRAIN, UNLABELLED, DatasetIndex, LabelLayer, Sample
from data.store.sharded import ShardedStore
from data.store.tiles import ArraySpec
from pipeline.view.page import Wish, page
from pipeline.view.run import ViewedRun
from pipeline.view.scoring import Scorer

SIZE = (48, 64)
CLASSES = 12
FILES = 50
SHARD = 32


def samples(folder: Path, count: int):
    """Yield `count` samples that share `FILES` images and masks."""
    rng = np.random.default_rng(0)
    for number in range(FILES):
        Image.fromarray(rng.integers(0, 255, (*SIZE, 3), np.uint8)).save(folder / f"{number}.png")
        (folder / f"{number}-mask.png").write_bytes(label_png(rng.integers(0, 3, SIZE).astype(np.uint16)))
    for number in range(count):
        file = number % FILES
        truth = (LabelLayer(folder / f"{file}-mask.png"),)
        tags = (1 + number % CLASSES,)
        yield Sample(f"room/{number:07d}", TRAIN, folder / f"{file}.png", tags, truth=truth, size=SIZE)


def stage(folder: Path, name: str, array: str, spec: ArraySpec, value, ids: list[str]):
    """A stage whose artifact has `value(rng)` for each image; it is kept for the next call."""
    store = ShardedStore(folder / f"{name}.zarr")
    if not store.is_complete():
        store.create(ids, {array: spec}, {"parameters": {}}, SHARD)
        for shard in store.missing_shards():
            rng = np.random.default_rng(shard)
            store.write_shard(shard, {array: [value(rng) for _ in store.images_of(shard)]})
        store.finish({})
    return SimpleNamespace(artifact=store, identity=name, label=name, required={})


def run_of(folder: Path, count: int) -> ViewedRun:
    """A run of `count` training images with pseudo-labels and logits."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("background", *(f"class {number}" for number in range(1, CLASSES + 1)))
    run = object.__new__(ViewedRun)
    run.name, run.dataset, run.left_out = "many", DatasetIndex(folder, names, samples(folder, count)), []
    ids = run.dataset.samples.ids
    label = ArraySpec(("y", "x"), SIZE, "uint16", UNLABELLED, {})
    logit = ArraySpec(("tag",), (CLASSES,), "float32", float("nan"), {})
    run.stages = {
        TRAIN: {
            "pseudo_labels": stage(folder, "labels", "label", label, lambda rng: rng.integers(0, 3, SIZE), ids),
            "tags": stage(folder, "tags", "logit", logit, lambda rng: rng.normal(size=CLASSES), ids),
        },
        EVALUATION: {},
    }
    return run


def timed(title: str, run: ViewedRun, scorer: Scorer, wish: Wish) -> None:
    """Print the CPU time of a page, that until all its numbers are known, and that of the page then."""
    start = time.process_time()
    found = page(run, scorer, wish)
    first = time.process_time() - start
    while found.is_working:
        time.sleep(0.5)
        found = page(run, scorer, wish)
    known = time.process_time() - start
    page(run, scorer, wish)
    then = time.process_time() - start - known
    print(f"{title}: {1000 * first:.0f} ms; all known after {known:.1f} s, then {1000 * then:.0f} ms", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    run, scorer = run_of(options.folder, options.images), Scorer()
    print(f"memory before: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")
    for title, wish in {
        "first page": Wish(TRAIN),
        "last page": Wish(TRAIN, page=10**9),
        "by class": Wish(TRAIN, sort="tags"),
        "one class": Wish(TRAIN, class_number=3),
        "text": Wish(TRAIN, text="99"),
        "by loss": Wish(TRAIN, sort="loss", descending=True),
        "one class by IoU": Wish(TRAIN, sort="iou", class_number=3),
    }.items():
        timed(title, run, scorer, wish)
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")


if __name__ == "__main__":
    main()
