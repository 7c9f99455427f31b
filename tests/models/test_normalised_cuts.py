"""Normalised cuts against the words of the paper in plain loops, and against every possible cut."""

from itertools import combinations

import networkx
import numpy as np
import pytest
import torch
from skimage.graph import cut_normalized

from models.normalised_cuts import EPSILON, discover_by_cuts
from models.superpixels import discover_superpixels


def groups(sizes, noise, seed=0):
    """Features of groups in nearly orthogonal directions, shuffled, and the group of each."""
    generator = torch.Generator().manual_seed(seed)
    member = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    member = member[torch.randperm(len(member), generator=generator)]
    centres = torch.nn.functional.one_hot(member, len(sizes)).float() - 0.02
    return centres + noise * torch.randn(centres.shape, generator=generator), member


def similarities(features):
    unit = torch.nn.functional.normalize(features, dim=1)
    return unit @ unit.T


def second_eigenvector(weights):
    """y of (3.15): z = D^1/2 y is the second eigenvector of D^-1/2 (D - W) D^-1/2 z = lambda z, which is symmetric."""
    degrees = [sum(row) for row in weights]
    matrix = [
        [((degrees[p] if p == q else 0) - w) / (degrees[p] * degrees[q]) ** 0.5 for q, w in enumerate(row)]
        for p, row in enumerate(weights)
    ]
    values, vectors = np.linalg.eigh(np.array(matrix))
    assert values[2] - values[1] > 1e-9 or len(values) == 2, "choose another example: two cuts are equally good"
    return vectors[:, 1] / np.sqrt(degrees)


def reference(affinity, tau):
    """Section 3.4.3 literally, but for units that are all alike, whose cut the paper leaves open."""
    labels, left, number = [-1] * len(affinity), list(range(len(affinity))), 0
    while left:
        weights = [[1.0 if affinity[p][q] > tau else EPSILON for q in left] for p in left]
        if len(left) == 1 or all(w == 1.0 for row in weights for w in row):
            found = left
        else:
            y = second_eigenvector(weights)
            assert abs(y - sum(y) / len(y)).min() > 1e-9, "choose another example: a unit is at the mean"
            above = [p for p, value in zip(left, y, strict=True) if value > sum(y) / len(y)]
            below = [p for p in left if p not in above]
            assert len(above) != len(below), "choose another example: the paper does not say which part is the smaller"
            found = min(above, below, key=len)
        for p in found:
            labels[p] = number
        left, number = [p for p in left if p not in found], number + 1
    return labels


@pytest.mark.parametrize(("sizes", "noise", "seed"), [((3, 5, 9), 0.05, 0), ((4, 7), 0.3, 3), ((2, 4, 5, 10), 0.4, 1)])
def test_equals_the_words_of_the_paper(sizes, noise, seed):
    affinity = similarities(groups(sizes, noise, seed)[0])
    expected = reference(affinity.tolist(), 0.3)
    assert len(set(expected)) > 1
    assert discover_by_cuts(affinity, 0.3).tolist() == expected


def test_tau_decides_what_is_alike():
    """Two pairs with similarity 0.5 between them: one superpixel at a tau below, two above."""
    affinity = torch.tensor([[1, 0.9, 0.9, 0.5], [0.9, 1, 0.9, 0.5], [0.9, 0.9, 1, 0.5], [0.5, 0.5, 0.5, 1]])
    assert discover_by_cuts(affinity, 0.4).tolist() == [0, 0, 0, 0]
    assert discover_by_cuts(affinity, 0.6).tolist() == [1, 1, 1, 0]


def test_the_first_cut_has_the_lowest_normalised_cut_of_all():
    """Ncut(A, B) = cut / vol(A) + cut / vol(B) (Shi and Malik), for all bipartitions of 9 units in two clear groups."""
    affinity = similarities(groups([3, 6], 0.02)[0])
    weights = np.where(affinity.numpy() > 0.3, 1.0, EPSILON)

    def value(part):
        inside = np.isin(np.arange(9), part)
        cut = weights[inside][:, ~inside].sum()
        return cut / weights[inside].sum() + cut / weights[~inside].sum()

    best = min((part for size in range(1, 5) for part in combinations(range(9), size)), key=value)
    assert tuple(np.flatnonzero(discover_by_cuts(affinity, 0.3) == 0)) == best


def test_the_cut_is_that_of_scikit_image():
    affinity = similarities(groups([6, 10], 0.01)[0])
    count = len(affinity)
    graph = networkx.Graph()
    for p in range(count):
        graph.add_node(p, labels=[p])
        for q in range(p, count):
            graph.add_edge(p, q, weight=1.0 if affinity[p, q] > 0.3 else EPSILON)
    peer = cut_normalized(np.arange(count)[None], graph, thresh=0.1, num_cuts=10, rng=0)[0]
    found = discover_by_cuts(affinity, 0.3).numpy()
    assert ((peer[:, None] == peer) == (found[:, None] == found)).all()


def test_units_that_are_all_alike_or_all_different_are_not_cut():
    assert discover_by_cuts(torch.ones(5, 5), 0.3).tolist() == [0] * 5
    assert discover_by_cuts(torch.eye(4), 0.3).tolist() == [0, 1, 2, 3]


def test_parts_of_equal_size_have_an_order():
    affinity = torch.block_diag(torch.ones(2, 2), torch.ones(2, 2))
    assert discover_by_cuts(affinity, 0.3).tolist() == [0, 0, 1, 1]


def test_it_is_a_rule_of_discovery_for_batches():
    features = torch.stack([groups([3, 5, 9], 0.05, seed)[0] for seed in range(2)])
    found = discover_superpixels(features, 0.3, "ncut")
    for image, labels in zip(features, found, strict=True):
        assert labels.tolist() == discover_by_cuts(similarities(image), 0.3).tolist()
        assert set(labels.tolist()) == set(range(int(labels.max()) + 1))
