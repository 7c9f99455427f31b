"""Each rule alone, on regions drawn by hand."""

import numpy as np
import pytest

from models.instance_merging import Scene, border_strengths, merge_containers, merge_hidden, merge_weak


def scene(regions, **changed):
    """A table at one metre; everything in a region stands 10 cm above it, and is nearer."""
    there = regions > 0
    values = {
        "inverse": np.where(there, 1.1, 1.0), "valid": np.ones(regions.shape, bool),
        "height": np.where(there, 0.1, 0.0), "plane": ~there, "noise": 0.002,
    }  # fmt: skip
    return Scene(**{**values, **changed})


def test_strengths_are_those_of_all_pairs_of_neighbours():
    rng = np.random.default_rng(0)
    regions, strength = rng.integers(0, 4, (9, 8)), rng.random((9, 8))
    expected: dict = {}
    for y in range(9):
        for x in range(8):
            for y2, x2 in ((y, x + 1), (y + 1, x)):
                if y2 < 9 and x2 < 8:
                    a, b = sorted((int(regions[y, x]), int(regions[y2, x2])))
                    if a and a != b:
                        expected.setdefault((a, b), []).append(max(strength[y, x], strength[y2, x2]))
    found = border_strengths(regions, strength)
    assert found.keys() == expected.keys()
    for pair, values in expected.items():
        assert sorted(found[pair]) == pytest.approx(sorted(values))
    assert border_strengths(np.zeros((3, 3), int), np.zeros((3, 3))) == {}


def test_a_weak_border_goes_and_a_strong_one_stays():
    regions = np.repeat([[1] * 6 + [2] * 6 + [3] * 6], 6, 0)
    strength = np.zeros(regions.shape)
    strength[:, 11:13] = 2.0
    assert np.array_equal(merge_weak(regions, strength, small=0), np.where(regions == 2, 1, regions))


def test_a_small_region_goes_to_the_neighbour_with_the_weaker_border():
    regions = np.repeat([[1] * 6 + [2] * 1 + [3] * 6], 6, 0)
    strength = np.zeros(regions.shape)
    strength[:, :6], strength[:, 7:] = 3.0, 2.0
    assert np.array_equal(merge_weak(regions, strength, small=10), np.where(regions == 3, 2, regions))
    assert np.array_equal(merge_weak(regions, strength, small=2), regions)


def test_borders_are_measured_again_after_a_merge():
    """The border of 1 and 3 alone is strong; with that of 2, which joins 1, its median is weak."""
    regions = np.ones((9, 8), int)
    regions[2:, :4], regions[:, 4:] = 2, 3
    strength = np.zeros(regions.shape)
    strength[:2, 3:5] = 5.0
    assert np.unique(merge_weak(regions, strength, small=0)).tolist() == [1]


def can():
    """A can seen from above: the wall (1), and inside the rim the lid (2)."""
    rows, columns = np.indices((60, 60))
    regions = np.zeros((60, 60), int)
    regions[15:50, 15:45] = 1
    regions[(rows - 15) ** 2 / 64 + (columns - 29.5) ** 2 / 225 <= 1] = 2
    return regions


def test_the_inside_of_a_container_joins_its_outside():
    regions = can()
    heights = np.where(regions == 1, np.linspace(0.16, 0.0, 60)[:, None], 0.09 * (regions == 2))
    merged = merge_containers(regions, scene(regions, height=heights))
    assert np.array_equal(merged > 0, regions > 0)
    assert len(np.unique(merged)) == 2


def test_a_higher_part_or_one_that_stands_on_the_table_is_no_inside():
    regions = can()
    low_wall = np.where(regions == 1, np.linspace(0.16, 0.0, 60)[:, None], 0.3 * (regions == 2))
    assert np.array_equal(merge_containers(regions, scene(regions, height=low_wall)), regions)
    on_table = np.where(regions == 1, np.linspace(0.16, 0.0, 60)[:, None], 0.01 * (regions == 2))
    assert np.array_equal(merge_containers(regions, scene(regions, height=on_table)), regions)


def divided():
    """A board (1 and 2) behind a pole (3)."""
    regions = np.zeros((50, 80), int)
    regions[10:40, 10:35], regions[10:40, 45:70], regions[5:45, 35:45] = 1, 2, 3
    return regions


def test_a_flat_surface_behind_a_pole_is_one():
    regions = divided()
    merged = merge_hidden(regions, scene(regions, inverse=np.where(regions == 3, 1.4, 1.1)))
    assert np.array_equal(merged, np.where(regions == 2, 1, regions))


@pytest.mark.parametrize("change", ["another plane", "nothing between"])
def test_two_surfaces_or_a_visible_gap_are_not_merged(change):
    regions = divided()
    inverse = np.where(regions == 3, 1.4, 1.1)
    if change == "another plane":
        inverse = np.where(regions == 2, 1.2, inverse)
    else:
        regions[regions == 3] = 0
        inverse = np.where(regions > 0, 1.1, 1.0)
    assert np.array_equal(merge_hidden(regions, scene(regions, inverse=inverse)), regions)
