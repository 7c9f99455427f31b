import numpy as np
import pytest

from data.sample import EVALUATION, TRAIN, UNLABELLED, DatasetIndex, Sample
from data.store.sharded import ShardedStore
from tasks.runtime.layout import create_store, image_map, label_map, padded_size


@pytest.fixture
def dataset(tmp_path):
    sizes = [(20, 33), (25, 16), (64, 64)]
    splits = [TRAIN, TRAIN, EVALUATION]
    samples = tuple(
        Sample(f"{split}/{index}", split, tmp_path / f"{index}.png", (1,), size=size)
        for index, (split, size) in enumerate(zip(splits, sizes))
    )
    return DatasetIndex(tmp_path, ("background", "mug"), samples)


@pytest.mark.parametrize(("stride", "expected"), [(1, (25, 33)), (4, (7, 9)), (8, (4, 5))])
def test_the_padded_size_holds_every_image_in_whole_cells(dataset, stride, expected):
    assert padded_size(dataset.split(TRAIN), stride) == expected


def test_a_map_has_its_unit_name_and_stride(dataset):
    samples = dataset.split(TRAIN)
    spec = image_map(samples, "float32", float("nan"), "depth", "m", stride=4)
    assert (spec.dims, spec.shape, spec.dtype, spec.stride) == (("y", "x"), (7, 9), "float32", 4)
    assert spec.attrs == {"units": "m", "long_name": "depth"}
    labels = label_map(samples, "label")
    assert (labels.shape, labels.dtype, labels.fill) == ((25, 33), "uint16", UNLABELLED)
    assert labels.attrs == {"long_name": "label"}


def test_a_store_knows_its_images_their_sizes_and_the_classes(dataset, tmp_path):
    samples = dataset.split(TRAIN)
    arrays = {"label": label_map(samples, "label")}
    store = create_store(ShardedStore(tmp_path / "a.zarr"), dataset, samples, arrays, {"stage": "Test"}, 1)
    assert store.image_ids == ["train/0", "train/1"]
    assert store.attrs["stage"] == "Test"
    assert store.missing_shards() == [0, 1]
    assert store.group["height"][:].tolist() == [20, 25]
    assert store.group["width"][:].tolist() == [33, 16]
    assert list(store.group["class_name"][:]) == ["background", "mug"]
    store.write_shard(0, {"label": [np.zeros((20, 33), np.uint16)]})
    again = create_store(ShardedStore(tmp_path / "a.zarr"), dataset, samples, arrays, {"stage": "Test"}, 1)
    assert again.missing_shards() == [1]
