"""Counts over the images of a store."""

import numpy as np
import pytest

from data.sample import TRAIN, Sample
from data.store.sharded import ShardedStore
from data.store.tiles import ArraySpec
from tasks.runtime import counting
from tasks.runtime.counting import JobsOver, count_shard, total_counts


class Stage:
    """What `total_counts` needs of a stage."""

    processes, dask, shard_timeout = 1, "", 0

    def progress(self, items, total, unit):
        return items


@pytest.fixture
def store(tmp_path):
    """Ten images in shards of four; image i is i everywhere."""
    spec = {"label": ArraySpec(("y", "x"), (2, 3), "uint8", 255, {})}
    store = ShardedStore(tmp_path / "a.zarr").create([str(i) for i in range(10)], spec, {}, 4)
    for shard in store.missing_shards():
        store.write_shard(shard, {"label": [np.full((2, 2), index) for index in store.images_of(shard)]})
    return store


def test_the_workers_are_those_of_the_stage(store, tmp_path, monkeypatch):
    asked = []

    class Executor:
        def map(self, function, jobs):
            return map(function, jobs)

    monkeypatch.setattr(counting, "executor_for", lambda *arguments: asked.append(arguments) or Executor())
    stage = Stage()
    stage.processes, stage.dask, stage.shard_timeout = 3, "tls://host:8786", 7
    total_counts(stage, [])
    assert asked == [(3, 0, "tls://host:8786", 7)]


def test_counts_add_up_by_key_and_images_that_do_not_count_are_left_out(store, tmp_path):
    samples = [Sample(str(i), TRAIN, tmp_path, (1,), size=(2, 2)) for i in range(10)]

    def of_even(sample, inputs):
        if inputs.index % 2:
            return None
        return inputs["maps"].read("label").astype(int), inputs.num_classes, 1

    def of_none(sample, inputs):
        return None

    plan = ((of_even, "even"), (of_none, "no"))
    parts = [JobsOver(store, "maps", samples, compute, 3, key) for compute, key in plan]
    assert [len(jobs) for jobs in parts] == [3, 3]
    key, counts = count_shard(parts[0][0])
    assert key == "even"
    assert counts[0].tolist() == [[2, 2], [2, 2]]
    totals = total_counts(Stage(), parts)
    assert set(totals) == {"even"}
    assert totals["even"][0].tolist() == [[20, 20], [20, 20]]
    assert totals["even"][1:] == (15, 5)
