"""Saliency from depth on scenes whose plane and object are known."""

import numpy as np
import pytest

from models.depth_saliency import depth_saliency, height_above_plane, support_plane


def tilted_table(height=60, width=80, object_height=0.04):
    """Depth of a plane seen at an angle with a block on it, and the mask of the block."""
    rows, columns = np.mgrid[:height, :width]
    depth = 1 / (0.8 + 0.008 * rows + 0.002 * columns)  # inverse depth of a plane is affine
    mask = np.zeros((height, width), bool)
    mask[20:40, 30:50] = True
    return np.where(mask, depth - object_height, depth), mask


def test_height_is_the_distance_to_the_plane():
    depth, mask = tilted_table()
    found = height_above_plane(depth, np.ones_like(mask), 0.004, 0)
    assert found[mask] == pytest.approx(0.04, abs=1e-6)
    assert found[~mask] == pytest.approx(0.0, abs=1e-6)


def test_what_stands_on_a_tilted_table_is_salient_in_spite_of_noise_and_holes():
    depth, mask = tilted_table()
    rng = np.random.default_rng(0)
    valid = rng.random(mask.shape) > 0.2
    noisy = depth + rng.normal(0, 0.002, mask.shape)
    noisy[~valid] = 0.3  # filled holes are not used for the plane
    found = depth_saliency(np.where(valid, noisy, depth), valid) > 0
    assert (found & mask).sum() / (found | mask).sum() > 0.9


def test_the_support_plane_is_the_table_as_far_as_it_was_measured():
    depth, mask = tilted_table()
    valid = np.ones_like(mask)
    valid[:5] = False
    assert (support_plane(depth, valid) == (valid & ~mask)).all()


def test_without_a_plane_there_is_no_support():
    assert not support_plane(np.ones((4, 4)), np.zeros((4, 4), bool)).any()


def test_an_empty_table_has_nothing_salient():
    depth, mask = tilted_table(object_height=0.0)
    assert not depth_saliency(depth, np.ones_like(mask)).any()


def test_small_parts_are_noise():
    depth, mask = tilted_table()
    depth[5:9, 5:9] -= 0.05
    assert depth_saliency(depth, np.ones_like(mask), least_part=0.2)[6, 6] == 0
    assert depth_saliency(depth, np.ones_like(mask), least_part=0.01)[6, 6] == 1


def test_two_measured_pixels_are_not_a_plane():
    depth, mask = tilted_table()
    valid = np.zeros_like(mask)
    valid[0, :2] = True
    assert not depth_saliency(depth, valid).any()


def test_a_tolerance_below_all_rounding_is_survived():
    depth, mask = tilted_table()
    noisy = depth + np.random.default_rng(2).normal(0, 0.002, depth.shape)
    assert np.isfinite(height_above_plane(noisy, np.ones_like(mask), 1e-300, 0)).all()


def test_what_is_behind_the_end_of_the_table_is_not_salient():
    """Filled holes there seem to float above the plane, which has its end at 1.18 m."""
    depth, mask = tilted_table()
    valid = np.ones_like(mask)
    depth[:2], valid[:6] = 1.2, False
    found = height_above_plane(depth, valid, 0.004, 0)
    assert (found[:2] == 0).all()
    assert (found[mask] > 0.03).all()


def test_the_same_seed_gives_the_same_mask():
    depth, mask = tilted_table(200, 260)
    noisy = depth + np.random.default_rng(1).normal(0, 0.004, depth.shape)
    first, second = (depth_saliency(noisy, np.ones_like(mask), seed=3) for _ in range(2))
    assert np.array_equal(first, second)
