import math

import pytest
import torch

from models.superpixels import (
    column_sums,
    discover_by_affinity,
    discover_superpixels,
    renumber,
    superpixels_at_pixels,
)


def reference(features, tau, rule="lowest"):
    """Table 3.1 literally: the degrees are recomputed over the patches left, for every superpixel."""
    features = features.double()
    count = len(features)
    norms = [float(vector.norm()) for vector in features]

    def similarity(p, q):
        return float(features[p] @ features[q]) / max(norms[p] * norms[q], 1e-300)

    table = [[similarity(p, q) for q in range(count)] for p in range(count)]
    labels, left, number = [-1] * count, list(range(count)), 0
    while left:
        degrees = {p: sum(table[p][q] > 0 for q in left) for p in left}
        extreme = min(degrees.values()) if rule == "lowest" else max(degrees.values())
        seed = next(p for p in left if degrees[p] == extreme)
        members = [q for q in left if table[seed][q] > tau or q == seed]
        for q in members:
            labels[q] = number
        left = [q for q in left if q not in members]
        number += 1
    return labels


@pytest.mark.parametrize("rule", ["lowest", "highest"])
@pytest.mark.parametrize("tau", [0.0, 0.3, 0.6])
def test_equals_the_pseudocode(tau, rule):
    features = torch.randn(3, 40, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = discover_superpixels(features.float(), tau, rule)
    assert found.dtype == torch.int64
    for image, labels in zip(features.float(), found, strict=True):
        assert labels.tolist() == reference(image, tau, rule)


def test_equals_the_pseudocode_on_clustered_features():
    generator = torch.Generator().manual_seed(1)
    centres = torch.randn(4, 8, generator=generator)
    features = centres[torch.arange(60) % 4] + 0.3 * torch.randn(60, 8, generator=generator)
    assert discover_superpixels(features[None], 0.5)[0].tolist() == reference(features, 0.5)


def test_any_affinity_may_be_given():
    affinity = torch.tensor([[1.0, 0.8, -0.5], [0.8, 1.0, 0.1], [-0.5, 0.1, 1.0]])
    # degrees 2, 3, 2: patch 0 is first and takes patch 1; patch 2 remains
    assert discover_by_affinity(affinity[None], 0.3).tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("rule", ["lowest", "highest", "ncut"])
def test_one_patch_is_one_superpixel(rule):
    assert discover_superpixels(torch.ones(1, 1, 4), seed_rule=rule).tolist() == [[0]]


def test_a_patch_without_features_ends_as_its_own_superpixel():
    features = torch.zeros(1, 3, 2)
    features[0, 1] = torch.tensor([1.0, 0.0])
    labels = discover_superpixels(features)[0]
    assert sorted(labels.tolist()) == [0, 1, 2]


def test_every_patch_is_labelled_and_numbers_have_no_gap():
    labels = discover_superpixels(torch.randn(1, 200, 16, generator=torch.Generator().manual_seed(2)), 0.4)[0]
    assert sorted(set(labels.tolist())) == list(range(int(labels.max()) + 1))


def test_more_than_255_superpixels_keep_their_numbers():
    assert int(discover_superpixels(torch.eye(300)[None], 0.3).max()) == 299


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="features must be"):
        discover_superpixels(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="seed_rule must be one of"):
        discover_superpixels(torch.zeros(1, 3, 4), seed_rule="middle")


def test_pixels_take_the_nearest_patch():
    labels = torch.tensor([[0, 1], [2, 300]])
    pixels = superpixels_at_pixels(labels, (4, 6))
    assert pixels.tolist() == [[0, 0, 0, 1, 1, 1]] * 2 + [[2, 2, 2, 300, 300, 300]] * 2


def test_renumber_closes_gaps_in_order():
    assert renumber(torch.tensor([[7, 2], [2, 9]])).tolist() == [[1, 0], [0, 2]]


@pytest.mark.parametrize("count", [0, 1, 255, 256, 1000])
def test_column_sums_do_not_wrap_at_a_byte(count):
    rows = torch.ones(count, 3, dtype=torch.uint8)
    rows[:, 1] = 0
    assert column_sums(rows).tolist() == [count, 0, count]
    assert column_sums(rows).dtype == torch.int32


def test_images_of_a_batch_do_not_touch_each_other():
    """One image ends after two superpixels, the other after forty."""
    generator = torch.Generator().manual_seed(3)
    easy = torch.eye(2)[torch.arange(40) % 2].repeat(1, 20)
    hard = torch.eye(40)
    both = discover_superpixels(torch.stack([easy, hard]), 0.3)
    assert both[0].tolist() == discover_superpixels(easy[None], 0.3)[0].tolist() == reference(easy, 0.3)
    assert both[1].tolist() == reference(hard, 0.3)
    mixed = torch.randn(4, 50, 5, generator=generator)
    assert [row.tolist() for row in discover_superpixels(mixed)] == [reference(image, 0.3) for image in mixed]


@pytest.mark.parametrize("rule", ["lowest", "highest"])
@pytest.mark.parametrize("tau", [0.0, 0.3, 0.5, 2**-0.5, 0.9])
def test_lemma_1_within_a_superpixel(tau, rule):
    """All pairs of a superpixel have a cosine above 2 tau^2 - 1 (S. Kim, SNU 2022, lemma 1), before any refinement."""
    pairs = 0
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        centres = torch.randn(5, 3 + seed, generator=generator)
        features = centres[torch.arange(60) % 5] + 0.5 * torch.randn(60, 3 + seed, generator=generator)
        unit = torch.nn.functional.normalize(features.double(), dim=1)
        for number in (labels := discover_superpixels(features[None], tau, rule)[0]).unique():
            members = unit[labels == number]
            assert float((members @ members.T).min()) > 2 * tau**2 - 1 - 1e-6
            pairs += len(members) * (len(members) - 1)
    assert pairs > 500


def test_the_bound_of_lemma_1_is_reached():
    """Two vectors just inside the cone of the seed, on opposite sides: no larger bound holds."""
    tau = 0.6
    angle = math.acos(tau) - 1e-3
    seed, left, right = ([math.cos(a), math.sin(a)] for a in (0.0, angle, -angle))
    cosine = left[0] * right[0] + left[1] * right[1]
    assert discover_superpixels(torch.tensor([[seed, left, right]]), tau, "highest").tolist() == [[0, 0, 0]]
    assert 0 < cosine - (2 * tau**2 - 1) < 0.01
