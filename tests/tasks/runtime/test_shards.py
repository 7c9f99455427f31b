"""The job of one shard: what is read per image, what is computed, what is written."""

import pickle

import numpy as np
import pytest

from data.sample import TRAIN, Sample
from data.store.sharded import ShardedStore
from data.store.tiles import ArraySpec
from tasks.runtime.device_use import DeviceUse
from tasks.runtime.shards import ImageInputs, ShardJob, open_stores, write_shard

SIZES = [(2, 3), (3, 2), (2, 2), (3, 3), (1, 3)]


@pytest.fixture
def samples(tmp_path):
    return [Sample(str(index), TRAIN, tmp_path, (1,), size=size) for index, size in enumerate(SIZES)]


def store_at(path, value_of=None):
    """Five images in shards of two, padded to 3 x 3 with 255; image i has `value_of(i)` everywhere."""
    spec = {"label": ArraySpec(("y", "x"), (3, 3), "uint8", 255, {})}
    store = ShardedStore(path).create([str(index) for index in range(5)], spec, {}, 2)
    for shard in store.missing_shards() if value_of else ():
        store.write_shard(shard, {"label": [np.full(SIZES[i], value_of(i)) for i in store.images_of(shard)]})
    return store


def test_an_image_is_read_without_padding(tmp_path):
    stores = {"one": store_at(tmp_path / "a.zarr", lambda i: i), "two": store_at(tmp_path / "b.zarr", lambda i: 10 * i)}
    inputs = ImageInputs(stores, 4, SIZES[4], 7, inferred="found")
    assert (list(inputs), len(inputs), inputs.index, inputs.num_classes) == (["one", "two"], 2, 4, 7)
    assert inputs.inferred == "found"
    assert inputs["one"].read("label").tolist() == [[4, 4, 4]]
    assert inputs["two"].read("label").tolist() == [[40, 40, 40]]
    with pytest.raises(KeyError):
        inputs["three"]


def test_a_shard_is_computed_image_by_image_and_written_as_a_whole(tmp_path, samples):
    source, target = store_at(tmp_path / "a.zarr", lambda i: i), store_at(tmp_path / "b.zarr")
    seen = []

    def doubled(sample, inputs):
        seen.append((sample.image_id, inputs.index, inputs.num_classes, inputs.inferred))
        return {"label": 2 * inputs["one"].read("label") + inputs.inferred}

    indices = target.images_of(1)
    job = ShardJob(doubled, indices, [samples[i] for i in indices], {"one": source}, 7, [1, 2], target, 1)
    assert write_shard(job).images == 2
    assert seen == [("2", 2, 7, 1), ("3", 3, 7, 2)]
    assert target.missing_shards() == [0, 2]
    assert target.read_image("label", 2, SIZES[2]).tolist() == [[5, 5], [5, 5]]
    assert (target.read_image("label", 3) == 8).all()


def test_without_a_network_nothing_is_inferred(tmp_path, samples):
    job = ShardJob(lambda sample, inputs: (inputs.index, inputs.inferred), range(2), samples[:2], {}, 1)
    assert list(job.results()) == [(0, None), (1, None)]


def test_each_image_has_its_sample_and_its_inferred_result(samples):
    with pytest.raises(ValueError, match="shorter"):
        list(ShardJob(lambda sample, inputs: None, range(2), samples[:1], {}, 1).results())


def test_only_the_arrays_among_the_inputs_are_opened(tmp_path):
    store = store_at(tmp_path / "a.zarr", lambda i: i)
    assert open_stores({"dataset": object(), "one": store, "model": None}) == {"one": store}


def test_paths_travel_and_arrays_do_not(tmp_path, samples):
    store = store_at(tmp_path / "a.zarr", lambda i: i)
    store.read_image("label", 0)
    packed = pickle.dumps(ShardJob(len, range(2), samples[:2], {"one": store}, 1, target=store))
    job = pickle.loads(packed)
    assert len(packed) < 4000
    assert job.stores["one"].path == store.path
    assert job.samples == samples[:2]


def test_a_job_with_a_network_loads_it_and_says_how_its_device_was_used(tmp_path, samples):
    target = store_at(tmp_path / "b.zarr")
    indices = target.images_of(1)

    class Network:
        use = None

        def kept(self):
            return self

        def shards(self, shards):
            for shard in shards:
                self.use.add(DeviceUse("cpu", 1.0, 2.0))
                yield [np.full(sample.size, 7, np.int32) for sample in shard]

    compute = lambda sample, inputs: {"label": inputs.inferred}  # noqa: E731
    job = ShardJob(compute, indices, [samples[i] for i in indices], {}, 7, None, target, 1, Network())
    for _ in range(2):
        assert write_shard(job) == (2, DeviceUse("cpu", 1.0, 2.0), None)
    assert (target.read_image("label", indices[0], samples[indices[0]].size) == 7).all()


def test_images_are_counted_as_they_are_stored(tmp_path, samples):
    target = store_at(tmp_path / "b.zarr")
    indices = target.images_of(1)

    def count(sample, image, num_classes):
        labels = image.read("label")
        assert labels.dtype == np.uint8
        return np.array([labels.size, labels.sum(), num_classes])

    compute = lambda sample, inputs: {"label": np.full(sample.size, 3.0)}  # noqa: E731
    job = ShardJob(compute, indices, [samples[i] for i in indices], {}, 7, None, target, 1, count=count)
    pixels = sum(height * width for height, width in (SIZES[i] for i in indices))
    assert write_shard(job).counts.tolist() == [pixels, 3 * pixels, 2 * 7]
    stored = sum(count(samples[i], target.image(i, SIZES[i]), 7) for i in indices)
    assert stored.tolist() == [pixels, 3 * pixels, 2 * 7]
