from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data.sample import TRAIN, Sample, Samples
from tasks.runtime.batch_order import BatchOrder, repeat_factors


def flat(order, epoch):
    return [key for batch in order.batches(epoch) for key in batch]


def reference_factors(tags, rare):
    """LVIS, section 4, word by word: r(I) = max over c in I of max(1, sqrt(t / f(c)))."""
    shares = {c: sum(c in found for found in tags) / len(tags) for c in set().union(*tags)}
    t = rare * np.mean(list(shares.values()))
    return [max([1.0, *(max(1.0, (t / shares[c]) ** 0.5) for c in found)]) for found in tags]


@pytest.mark.parametrize("rare", [0.25, 0.5, 1.0, 3.0])
def test_images_of_rare_classes_come_more_often_as_in_the_paper(rare):
    rng = np.random.default_rng(0)
    weights = np.array([0.5, 0.3, 0.1, 0.06, 0.04])
    tags = [tuple(sorted(set(rng.choice([1, 2, 4, 5, 9], 2, p=weights).tolist()))) for _ in range(60)] + [()]
    found = repeat_factors(tags, rare)
    assert found.tolist() == pytest.approx(reference_factors(tags, rare))
    assert found.max() > 1
    assert found[-1] == 1


def test_without_rare_classes_every_image_comes_once():
    assert repeat_factors([(1,), (1,), (2,)], 0).tolist() == [1, 1, 1]
    assert repeat_factors([(1,), (2,)] * 3, 1.0).tolist() == [1] * 6
    assert repeat_factors([(), ()], 1.0).tolist() == [1, 1]


def test_an_epoch_shows_each_image_once_in_an_order_of_its_own():
    order = BatchOrder(np.ones(19), 4, seed=3)
    assert (order.items, order.size, order.steps) == (19, 4, 4)
    epochs = [flat(order, epoch) for epoch in range(4)]
    for epoch, keys in enumerate(epochs):
        # as numpy draws it: the order that earlier versions had, so that their results come again
        expected = np.random.default_rng([3, epoch]).permutation(19).tolist()[:16]
        assert keys == [(epoch, index) for index in expected]
    assert len({tuple(index for _, index in keys) for keys in epochs}) == 4


def test_fewer_images_than_a_batch_are_one_batch():
    order = BatchOrder(np.ones(3), 100)
    assert (order.size, order.steps) == (3, 1)
    assert sorted(index for _, index in flat(order, 0)) == [0, 1, 2]


def test_images_are_shown_as_often_as_wanted_each_time_as_another_item():
    draws = np.array([1.0, 2.5, 0.4, 1.0, 3.1])
    order = BatchOrder(draws, 4)
    counts, keys = Counter(), []
    for epoch in range(2000):
        shown = flat(order, epoch)
        assert len(shown) == order.items == 8
        found = Counter(index for _, index in shown)
        assert all(np.floor(draws[n]) <= found[n] <= np.ceil(draws[n]) for n in range(5))
        counts += found
        keys += shown
    assert [counts[n] / 2000 for n in range(5)] == pytest.approx(draws.tolist(), abs=0.05)
    assert len(set(keys)) == len(keys)


def test_an_order_depends_on_seed_and_epoch_alone():
    draws = np.array([1.0, 1.7, 1.0, 2.3])
    assert BatchOrder(draws, 2, 1).batches(5) == BatchOrder(draws.copy(), 2, 1).batches(5)
    assert BatchOrder(draws, 2, 1).batches(5) != BatchOrder(draws, 2, 2).batches(5)
    assert BatchOrder(draws, 2, 1).batches(5) != BatchOrder(draws, 2, 1).batches(6)


@pytest.mark.parametrize("images", [1, 3, 7, 8, 100, 192, 480, 1000])
@pytest.mark.parametrize(("epochs", "least"), [(8, 480), (4, 241), (1, 5), (3, 0)])
def test_a_training_has_its_epochs_and_the_least_number_of_steps(images, epochs, least):
    order = BatchOrder.of(np.ones(images), 8, 0, epochs, least)
    steps = epochs * order.steps
    passes = epochs * (images // min(8, images))
    if passes >= least:
        assert steps == passes
        assert (order.draws == 1).all()
    else:
        assert least <= steps < least + epochs
        assert all(len(batch) == 8 for batch in order.batches(0))
    assert [len(batch) for batch in order.batches(1)] == [order.size] * order.steps


def test_more_steps_keep_the_share_of_rare_classes():
    factors = np.array([1.0, 1.0, 1.0, 2.0])
    order = BatchOrder.of(factors, 2, 0, epochs=2, least_steps=50)
    assert (order.draws / factors).tolist() == pytest.approx([order.draws[0]] * 4)
    assert order.items == 50


def test_the_tags_of_all_images_are_read_at_once():
    tags = [(1, 3), (), (1, 3), (2,)]
    samples = [Sample(str(n), TRAIN, Path(f"{n}.png"), found) for n, found in enumerate(tags)]
    assert Samples.of(Path("."), samples).tags == tags
