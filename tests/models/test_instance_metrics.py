"""The scores against the protocol's own words: all pairings tried, boundaries pixel by pixel."""

import itertools

import numpy as np
import pytest

from models.instance_metrics import BOUNDARY_SHARE, boundary_pixels, unseen_scores


def pair_f(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def best_pairs(found, true):
    """The pairing with the largest sum of F, by trying all."""
    longer, shorter = (found, true) if len(found) >= len(true) else (true, found)
    pairings = itertools.permutations(range(len(longer)), len(shorter))
    best = max(pairings, key=lambda p: sum(pair_f(longer[i], shorter[j]) for j, i in enumerate(p)))
    pairs = [(i, j) for j, i in enumerate(best)]
    return pairs if longer is found else [(j, i) for i, j in pairs]


def slow_boundary(mask):
    height, width = mask.shape
    found = np.zeros(mask.shape, bool)
    for y in range(height):
        for x in range(width):
            for down, right in ((0, 1), (1, 0), (1, 1)):
                if y + down < height and x + right < width:
                    found[y, x] |= mask[y, x] != mask[y + down, x + right]
    return found


def close(boundary, radius):
    places = np.argwhere(boundary)
    rows, columns = np.indices(boundary.shape)
    found = np.zeros(boundary.shape, bool)
    for y, x in places:
        found |= (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    return found


def random_instances(rng, count):
    numbers = np.zeros((24, 30), int)
    for number in range(1, count + 1):
        y, x = rng.integers(0, 16), rng.integers(0, 20)
        numbers[y : y + rng.integers(4, 9), x : x + rng.integers(4, 11)] = number
    return numbers


@pytest.mark.parametrize("seed", range(6))
def test_scores_are_those_of_the_protocol(seed):
    rng = np.random.default_rng(seed)
    truth, predicted = random_instances(rng, 3), random_instances(rng, rng.integers(2, 5))
    true, found = ([values == n for n in np.unique(values) if n] for values in (truth, predicted))
    pairs = best_pairs(found, true)
    common = sum((found[i] & true[j]).sum() for i, j in pairs)
    precision, recall = common / (predicted > 0).sum(), common / (truth > 0).sum()
    scores = unseen_scores(predicted, truth)
    assert scores.overlap_precision == pytest.approx(precision)
    assert scores.overlap_recall == pytest.approx(recall)
    assert scores.overlap_f == pytest.approx(2 * precision * recall / (precision + recall))
    radius = int(np.ceil(BOUNDARY_SHARE * np.hypot(*truth.shape)))
    found_lines, true_lines = ([slow_boundary(m) for m in masks] for masks in (found, true))
    agreeing = sum((found_lines[i] & close(true_lines[j], radius)).sum() for i, j in pairs)
    met = sum((true_lines[j] & close(found_lines[i], radius)).sum() for i, j in pairs)
    assert scores.boundary_precision == pytest.approx(agreeing / sum(line.sum() for line in found_lines))
    assert scores.boundary_recall == pytest.approx(met / sum(line.sum() for line in true_lines))
    assert scores.found == sum(pair_f(found[i], true[j]) > 0.75 for i, j in pairs) / len(true)


def test_one_object_in_two_parts_is_half_found():
    truth = np.zeros((10, 10), int)
    truth[2:8, 2:8] = 1
    parts = truth.copy()
    parts[:, 5:] *= 2
    scores = unseen_scores(parts, truth)
    assert (scores.overlap_precision, scores.overlap_recall, scores.found) == (0.5, 0.5, 0.0)


def test_nothing_predicted_and_nothing_there():
    empty, one = np.zeros((4, 4), int), np.eye(4, dtype=int)
    assert unseen_scores(empty, empty)[:6] == (1.0,) * 6
    assert np.isnan(unseen_scores(empty, empty).found)
    assert unseen_scores(empty, one)[:3] == (1.0, 0.0, 0.0)
    assert unseen_scores(one, empty)[:3] == (0.0, 1.0, 0.0)


def test_pixels_that_are_not_scored_count_nowhere():
    truth = np.array([[1, 1, 0, 0]])
    predicted = np.array([[1, 1, 1, 0]])
    assert unseen_scores(predicted, truth).overlap_precision == pytest.approx(2 / 3)
    assert unseen_scores(predicted, truth, np.array([[True, True, False, True]])).overlap_precision == 1


def test_boundaries_at_the_end_of_the_image():
    mask = np.random.default_rng(3).random((6, 7)) > 0.5
    assert np.array_equal(boundary_pixels(mask), slow_boundary(mask))
