"""K-means and matching against all possibilities, on sets that are small enough for it."""

import itertools

import numpy as np
import pytest
import torch

from models.clusters import assign_clusters, k_means, learn_clusters, match_clusters, nearest_centre, superpixel_keys
from models.label_values import UNLABELLED
from models.metrics import mean_iou


def spread_of(features, labels):
    """The sum that k-means makes small: squared distances from the mean of the cluster."""
    members = [features[np.array(labels) == label] for label in set(labels)]
    return sum(float(((found - found.mean(0)) ** 2).sum()) for found in members)


@pytest.mark.parametrize("count", [2, 3])
def test_k_means_finds_the_best_of_all_partitions(count):
    features = np.random.default_rng(count).normal(size=(8, 2))
    best = min(spread_of(features, labels) for labels in itertools.product(range(count), repeat=8))
    centres = k_means(features, count, seed=0, restarts=20)
    assert spread_of(features, nearest_centre(features, centres).tolist()) == pytest.approx(best)


def test_the_seed_alone_decides_and_not_even_it_decides_the_order():
    features = np.random.default_rng(1).normal(size=(200, 5)).astype(np.float32)
    first, again, other = (k_means(features, 7, seed, restarts=1) for seed in (3, 3, 4))
    assert first.dtype == np.float32
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    groups = np.repeat(np.eye(3) * 9, 4, axis=0) + np.random.default_rng(2).normal(size=(12, 3)) / 9
    assert np.allclose(k_means(groups, 3, seed=0), k_means(groups, 3, seed=1))


def test_the_best_of_the_restarts_counts():
    features = np.random.default_rng(5).normal(size=(60, 2))
    found = []
    for seed in range(6):
        centres = (k_means(features, 9, seed, restarts) for restarts in (1, 8))
        found.append([spread_of(features, nearest_centre(features, values).tolist()) for values in centres])
    assert all(one >= several for one, several in found)
    assert any(one > several for one, several in found)


@pytest.mark.parametrize("features", [np.zeros((5, 3)), np.ones((0, 3)), np.eye(3)[[0, 1, 1, 0]]])
def test_too_few_different_features_are_refused(features):
    with pytest.raises(ValueError, match=r"[012] different features cannot be 3 clusters"):
        learn_clusters(features, 3, seed=0)


def test_nearest_centre_equals_the_loops():
    rng = np.random.default_rng(0)
    features, centres = rng.normal(size=(20, 4)), rng.normal(size=(6, 4))
    expected = [min(range(6), key=lambda c, f=f: np.linalg.norm(f - centres[c])) for f in features]
    assert nearest_centre(features, centres).tolist() == expected


def test_keys_are_compared_by_the_cosine_of_what_differs_from_their_mean():
    """The values of a CNN are all positive: their cosines alone would see one direction."""
    rng = np.random.default_rng(0)
    directions = np.eye(3)[np.arange(60) % 3] - 1 / 3
    keys = (5 + rng.uniform(0.2, 2, (60, 1)) * directions + rng.normal(0, 0.02, (60, 3))).astype(np.float32)
    found = learn_clusters(keys, 3, seed=0)
    assert found.mean == pytest.approx(keys.mean(0))
    assert np.linalg.norm(found.centres, axis=1) == pytest.approx(1, abs=0.02)
    numbers = assign_clusters(keys, found)
    assert all(len(set(numbers[place::3].tolist())) == 1 for place in range(3))
    assert len(set(numbers[:3].tolist())) == 3
    assert assign_clusters(found.mean[None], found).shape == (1,)  # without a direction


def test_keys_of_superpixels_have_length_1_and_the_direction_of_their_mean():
    keys = torch.rand(4, 6, 3)
    superpixels = (torch.arange(24).view(4, 6) // 8) % 3  # as large as the keys: no interpolation
    found = superpixel_keys(keys, superpixels)
    for number in range(3):
        mean = keys[superpixels == number].mean(0)
        assert torch.allclose(found[number], mean / mean.norm(), atol=1e-6)


@pytest.mark.parametrize(("classes", "clusters"), [(3, 3), (4, 3), (3, 5)])
def test_the_matching_has_the_highest_mean_iou_of_all_matchings(classes, clusters):
    counts = np.random.default_rng(classes * clusters).integers(0, 60, (classes, clusters))

    def score(assigned):
        confusion = np.zeros((classes, classes + 1), np.int64)
        for cluster, number in enumerate(assigned):
            confusion[:, classes if number == UNLABELLED else number] += counts[:, cluster]
        return mean_iou(confusion)

    free = [UNLABELLED] * max(0, clusters - classes)
    possible = set(itertools.permutations([*range(classes), *free], clusters))
    found = match_clusters(counts)
    assert found.dtype == np.uint16
    assert score(found.tolist()) == pytest.approx(max(map(score, possible)))


def test_a_class_without_pixels_takes_no_cluster_from_the_others():
    assert match_clusters(np.array([[9, 0], [0, 0], [1, 8]])).tolist() == [0, 2]
