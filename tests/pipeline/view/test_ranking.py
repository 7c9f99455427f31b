"""Choosing, sorting and paging of images."""

import doctest
from pathlib import Path

import numpy as np
import pytest

from data.sample import Sample, Samples
from pipeline.view import panels, ranking, scoring
from pipeline.view.ranking import chosen, ordered, page_of, tag_sets

TAGS = [(2,), (), (1, 3), (2, 3), (1, 3)]


@pytest.fixture
def samples():
    root = Path("set")
    return Samples.of(root, [Sample(f"room/{n}", "train", root / f"{n}.jpg", tags) for n, tags in enumerate(TAGS)])


@pytest.mark.parametrize("module", [panels, ranking, scoring], ids=lambda module: module.__name__)
def test_examples(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize("number", [None, 1, 2, 3, 4])
@pytest.mark.parametrize("text", ["", "room", "/3", "4x"])
def test_the_chosen_images_have_the_class_and_the_text(samples, number, text):
    expected = [n for n, tags in enumerate(TAGS) if (number is None or number in tags) and text in f"room/{n}"]
    assert chosen(samples, tag_sets(samples), number, text).tolist() == expected


def test_images_are_sorted_by_their_tags(samples):
    sets, places = tag_sets(samples)
    assert [sets[place] for place in places] == TAGS
    assert ordered(np.arange(5), places).tolist() == sorted(range(5), key=lambda n: TAGS[n])


@pytest.mark.parametrize("descending", [False, True])
def test_order_is_that_of_a_plain_sort_with_missing_numbers_last(descending):
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 5, 50).astype(np.float32)
    keys[rng.random(50) < 0.2] = np.nan
    places = rng.permutation(50)[:30]
    known = [place for place in places.tolist() if not np.isnan(keys[place])]
    expected = sorted(known, key=lambda place: -keys[place] if descending else keys[place])
    expected += [place for place in places.tolist() if np.isnan(keys[place])]
    assert ordered(places, keys, descending).tolist() == expected


def test_without_numbers_the_order_is_that_of_the_split():
    places = np.array([1, 4, 6])
    assert ordered(places, None).tolist() == [1, 4, 6]
    assert ordered(places, None, descending=True).tolist() == [6, 4, 1]


def test_the_pages_have_each_image_once():
    pages = [page_of(np.arange(23), number, 5) for number in range(1, 6)]
    assert sum((page[0] for page in pages), []) == list(range(23))
    assert {page[2] for page in pages} == {5}


@pytest.mark.parametrize(("number", "expected"), [(-3, 1), (0, 1), (2, 2), (99, 2)])
def test_a_page_that_is_not_there_becomes_the_nearest(number, expected):
    assert page_of(np.arange(6), number, 4)[1:] == (expected, 2)


def test_no_images_are_one_empty_page():
    assert page_of(np.arange(0), 1, 4) == ([], 1, 1)
