import dataclasses
import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from data.sample import TRAIN, UNLABELLED, Sample
from data.store.sharded import ShardedStore
from data.store.tiles import ArraySpec
from tasks.runtime.augmentation import Augmentation
from tasks.runtime.batch_order import BatchOrder
from tasks.runtime.copy_paste import Pasting
from tasks.runtime.layout import training_crop
from tasks.runtime.ranks import Ranks
from tasks.runtime.tensors import Normalisation
from tasks.runtime.training_images import MapSource, TrainingImages, batches_from, fitting_processes

PLAIN = Normalisation((0.0,) * 3, (1.0,) * 3)


@pytest.fixture
def samples(tmp_path):
    """Images whose red channel is their label map times 20, in two sizes."""
    rng = np.random.default_rng(0)
    found, maps = [], []
    for index, size in enumerate([(20, 30), (20, 30), (24, 16)]):
        labels = rng.integers(0, 4, (size[0] // 4, size[1] // 4)).repeat(4, 0).repeat(4, 1)
        labels = np.pad(labels, [(0, size[0] - labels.shape[0]), (0, size[1] - labels.shape[1])], mode="edge")
        image = np.zeros((*size, 3), np.uint8)
        image[..., 0] = labels * 20
        Image.fromarray(image).save(tmp_path / f"{index}.png")
        found.append(Sample(str(index), TRAIN, tmp_path / f"{index}.png", (1,), size=size))
        padding = [(0, 24 - size[0]), (0, 30 - size[1])]
        maps.append(np.pad(labels, padding, constant_values=UNLABELLED).astype(np.uint16))
    spec = {"label": ArraySpec(("y", "x"), (24, 30), "uint16", UNLABELLED, {})}
    store = ShardedStore(tmp_path / "maps.zarr").create([s.image_id for s in found], spec, {}, 4)
    store.write_shard(0, {"label": np.stack(maps)})
    return found, MapSource(ShardedStore(store.path), "label", UNLABELLED)


def batches(images, epochs, batch_size, *more, **settings):
    """Batches that show each image once in an epoch."""
    return batches_from(images, BatchOrder(np.ones(len(images)), batch_size), epochs, *more, **settings)


def images_of(samples, augmentation, seed=0):
    found, source = samples
    return TrainingImages(found, 3, PLAIN, augmentation, seed, {"label": source})


@pytest.mark.parametrize("scales", [(1.0, 1.0), (2.0, 2.0)])
def test_image_and_map_are_moved_alike(samples, scales):
    images = images_of(samples, Augmentation((16, 18), *scales))
    for epoch in range(3):
        for index in range(3):
            item = images[epoch, index]
            inside = item["label"] != UNLABELLED
            shown = (item["image"][0] * 255 / 20).round().long()
            agree = shown[inside] == item["label"].long()[inside]
            assert inside.any()
            assert agree.float().mean() > (0.99 if scales[0] == 1 else 0.7)  # between labels colours are mixed


def test_objects_of_another_image_are_pasted_with_their_tags_and_regions_of_their_own(samples):
    found, source = samples
    tagged = [dataclasses.replace(sample, tags=(n + 1,)) for n, sample in enumerate(found)]
    regions = dataclasses.replace(source, numbers_regions=True)
    maps, crop = {"label": source, "region": regions}, Augmentation((24, 30), flip=False)

    def images(share):
        return TrainingImages(tagged, 3, PLAIN, crop, 0, maps, Pasting(share, lambda item: item["label"] == 3))

    item, bare = images(1.0)[0, 0], images(0.0)[0, 0]
    assert all(torch.equal(values, TrainingImages(tagged, 3, PLAIN, crop, 0, maps)[0, 0][name])
               for name, values in bare.items())  # fmt: skip
    changed = item["region"] != bare["region"]
    assert changed.any()
    assert not set(item["region"][changed].tolist()) & set(item["region"][~changed].tolist())
    assert (item["label"][changed] == 3).all()
    assert torch.equal((item["image"][0] * 255 / 20).round()[changed], torch.full((int(changed.sum()),), 3.0))
    assert bare["tags"].tolist() == [1, 0, 0]
    assert item["tags"].sum() == 2
    assert all(torch.equal(values, item[name]) for name, values in images(1.0)[0, 0].items())


def test_an_image_without_objects_pastes_nothing(samples):
    found, source = samples
    nowhere = Pasting(1.0, lambda item: torch.zeros_like(item["label"], dtype=torch.bool))
    plain = Augmentation((24, 30))
    images = TrainingImages(found, 3, PLAIN, plain, 0, {"label": source}, nowhere)
    bare = TrainingImages(found, 3, PLAIN, plain, 0, {"label": source})
    assert all(torch.equal(values, images[0, 1][name]) for name, values in bare[0, 1].items())


def test_a_mosaic_shows_four_images_with_their_tags_and_distinct_regions(samples, tmp_path):
    found, source = samples
    tagged = [dataclasses.replace(sample, tags=(n + 1,)) for n, sample in enumerate(found)]
    source = dataclasses.replace(source, numbers_regions=True)
    images = TrainingImages(tagged, 3, PLAIN, Augmentation((24, 32), mosaic=1.0), 0, {"label": source})
    item = images[0, 1]
    assert item["image"].shape == (3, 24, 32)
    assert item["tags"].sum() > 1
    tiles = [item["label"][y : y + 12, x : x + 16] for y in (0, 12) for x in (0, 16)]
    numbers = [set(tile[tile != UNLABELLED].tolist()) for tile in tiles]
    for first in range(4):
        for second in range(first):
            assert not numbers[first] & numbers[second]
    assert torch.equal(images[0, 1]["label"], item["label"])


def test_an_item_is_the_same_whoever_asks_and_differs_by_epoch_and_seed(samples):
    augmentation = Augmentation((16, 16), 0.5, 2.0, True, 0.3)
    images = images_of(samples, augmentation)
    first = images[1, 2]
    images[0, 0]
    assert torch.equal(images_of(samples, augmentation)[1, 2]["image"], first["image"])
    assert not torch.equal(images[2, 2]["image"], first["image"])
    assert not torch.equal(images_of(samples, augmentation, seed=1)[1, 2]["image"], first["image"])


def test_loader_processes_change_nothing(samples):
    images = images_of(samples, Augmentation((16, 16), 0.5, 2.0, True, 0.3))
    alone = [batch["image"] for batch in batches(images, 3, 2)]
    with_process = [batch["image"] for batch in batches(images, 3, 2, loader_processes=1)]
    assert all(torch.equal(a, b) for a, b in zip(alone, with_process, strict=True))
    assert len(alone) == 3


@pytest.mark.parametrize("draws", [(1.0, 1.0, 1.0), (0.5, 1.5, 1.2)])
def test_batches_from_a_step_on_are_the_last_ones_of_all(samples, draws):
    images = images_of(samples, Augmentation((16, 16), 0.5, 2.0, True, 0.3))
    order = BatchOrder(np.array(draws), 1)
    every = [batch["image"] for batch in batches_from(images, order, 3)]
    assert len(every) == 9
    for step in (0, 2, 3, 7):
        rest = batches_from(images, order, 3, step)
        assert len(rest) == 9 - step
        assert all(torch.equal(a, b["image"]) for a, b in zip(every[step:], rest, strict=True))


def test_the_parts_of_a_batch_are_the_batch_and_take_no_random_number(samples):
    images, before = images_of(samples, Augmentation((16, 16))), torch.get_rng_state()
    whole = list(batches(images, 2, 3))
    parts = [list(batches(images, 2, 3, 0, Ranks(rank, 2).own)) for rank in range(2)]
    for batch, *halves in zip(whole, *parts, strict=True):
        assert [len(half["image"]) for half in halves] == [1, 2]
        assert torch.equal(torch.cat([half["image"] for half in halves]), batch["image"])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loader_process_outlives_the_signals_of_a_job(samples):
    loader = batches(images_of(samples, Augmentation((16, 16))), 4, 1, loader_processes=1)
    loaded = iter(loader)
    next(loaded)
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        os.kill(loaded._workers[0].pid, number)
    assert len(list(loaded)) == 11


def test_loader_processes_fit_the_machine(monkeypatch):
    assert fitting_processes(3, "cpu", cores=1, items=1) == 3
    assert fitting_processes(-1, "cuda", cores=2, items=10**6) == 0
    assert fitting_processes(-1, "cuda", cores=5, items=10**6) == 4
    assert fitting_processes(-1, "cuda", cores=64, items=10**6) == 16
    assert fitting_processes(-1, "cuda", cores=64, items=100) == 0
    assert fitting_processes(-1, "cpu", cores=64, items=10**6) == 0
    monkeypatch.setattr("multiprocessing.current_process", lambda: SimpleNamespace(daemon=True))
    assert fitting_processes(3, "cuda", cores=8, items=10**6) == 0


def test_hue_changes_colours_and_nothing_else(samples):
    plain, turned = (images_of(samples, Augmentation((16, 16), 0.5, 2.0, True, 0.3, hue=hue)) for hue in (0.0, 0.4))
    changed = []
    for index in range(3):
        first, second = plain[0, index], turned[0, index]
        assert torch.equal(first["label"], second["label"])
        changed.append(not torch.equal(first["image"], second["image"]))
    assert any(changed)


def test_a_whole_item_is_the_image_as_it_is(samples):
    item = images_of(samples, Augmentation((8, 8), 0.5, 2.0, True, 0.3, mosaic=1.0)).whole(2)
    assert item["image"].shape == (3, 24, 16)
    assert (item["label"] != UNLABELLED).all()
    assert torch.equal((item["image"][0] * 255 / 20).round().long(), item["label"].long())


@pytest.mark.parametrize("length", [10.0, 20.0, 60.0])
def test_an_image_that_is_brought_to_a_length_is_scaled_down_to_the_crop_once(samples, length):
    """The crop of the usual images is found at that length: an image of this size fills it."""
    images = images_of(samples, Augmentation((16, 24), fit=True, resize_side="long", resize_to=(length,)))
    for index, size in enumerate([(20, 30), (20, 30), (24, 16)]):
        item = images[0, index]
        shown = item["label"] != UNLABELLED
        longest = max(int(shown.any(0).sum()), int(shown.any(1).sum()))
        scale = min(length / max(size), 16 / size[0], 24 / size[1])
        assert longest == pytest.approx(scale * max(size), abs=1)


def test_an_enlarged_image_is_scaled_down_to_a_crop_that_is_smaller(samples):
    """Its tags are true of the whole image, so the whole image is seen."""
    images = images_of(samples, Augmentation((40, 45), fit=True, least_side=300))
    for index, size in enumerate([(20, 30), (20, 30), (24, 16)]):
        shown = images[0, index]["label"] != UNLABELLED
        wanted = [min(40 / size[0], 45 / size[1]) * side for side in size]
        assert [int(shown.any(1).sum()), int(shown.any(0).sum())] == pytest.approx(wanted, abs=1)


@pytest.mark.parametrize("least_side", [31, 37, 45, 53, 59])
def test_a_crop_that_holds_the_enlarged_images_changes_none_of_them(samples, least_side):
    for index, sample in enumerate(samples[0]):
        crop = training_crop([sample], least_side)  # their sides are rounded
        free, fitted = (
            images_of(samples, Augmentation(crop, 0.8, 2.0, fit=fit, least_side=least_side))[0, index]
            for fit in (False, True)
        )
        assert all(torch.equal(values, fitted[name]) for name, values in free.items())
