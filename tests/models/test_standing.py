"""Heights above the support plane, against points in space; noise and plane against what was put in."""

import numpy as np
import pytest

from models.standing import FOCAL, LEAST_NOISE, inverse_noise, measured_mean, plane_inverse, plane_places, standing

SHAPE = (60, 80)
NORMAL, DISTANCE = np.array([0.0, -0.8, -0.6]), 0.9
"""A table that is seen at a slant: n.X + D = 0, with the unit normal towards the camera."""


def rays():
    rows, columns = np.indices(SHAPE)
    focal = FOCAL * max(SHAPE)
    return np.stack([(columns - 40) / focal, (rows - 30) / focal, np.ones(SHAPE)], -1)


def table_depth(height=0.0):
    return -(DISTANCE - height) / (rays() @ NORMAL)


def test_the_height_is_the_distance_of_the_point_from_the_plane():
    depth = table_depth()
    depth[10:30, 20:40] = table_depth(0.05)[10:30, 20:40]
    found = standing(depth, np.ones(SHAPE, bool))
    points = rays() * depth[..., None]
    expected = points @ NORMAL + DISTANCE  # plain geometry
    inner = np.zeros(SHAPE, bool)
    inner[12:28, 22:38] = True  # heights are averaged over 3x3 pixels
    assert found.height[inner] == pytest.approx(expected[inner], abs=1e-6)
    assert found.height[35:-1, 1:-1] == pytest.approx(0, abs=1e-6)  # the last row is averaged with itself


def test_the_noise_is_what_was_added():
    rng = np.random.default_rng(0)
    inverse = 1 / table_depth() + rng.normal(0, 0.01, SHAPE)
    assert inverse_noise(inverse, np.ones(SHAPE, bool)) == pytest.approx(0.01, rel=0.1)
    found = standing(1 / inverse, np.ones(SHAPE, bool))
    assert found.inverse_noise == pytest.approx(0.01, rel=0.1)
    spread = found.height[2:-2, 2:-2].std()
    assert 0.5 * found.noise.mean() < spread < 1.5 * found.noise.mean()


def test_depth_in_whole_steps_has_the_least_noise():
    assert inverse_noise(np.ones(SHAPE), np.ones(SHAPE, bool)) == LEAST_NOISE
    assert inverse_noise(np.ones(SHAPE), np.zeros(SHAPE, bool)) == LEAST_NOISE


def test_the_plane_of_most_pixels_wins_and_holes_do_not_count():
    inverse = 1 / table_depth()
    valid = np.ones(SHAPE, bool)
    valid[:, :50] = False
    plane = plane_inverse(np.where(valid, inverse, 5.0), valid, 1e-4)
    rows, columns = np.indices(SHAPE)
    found = plane[0] * (columns - 40) / 80 + plane[1] * (rows - 30) / 80 + plane[2]
    assert found == pytest.approx(inverse, abs=1e-6)


def test_each_pixel_may_have_its_own_tolerance():
    """With none for them, the pixels of the larger plane do not count."""
    inverse = 1 / table_depth()
    inverse[:, 30:] = 2.0
    allowed = np.full(SHAPE, 1e-4)
    far = plane_inverse(inverse, np.ones(SHAPE, bool), allowed)
    assert far == pytest.approx([0, 0, 2.0], abs=1e-6)
    allowed[:, 30:] = 0
    own = plane_places(SHAPE) @ plane_inverse(inverse, np.ones(SHAPE, bool), allowed)
    assert own[:, :30] == pytest.approx(inverse[:, :30], abs=1e-6)


def test_without_three_pixels_there_is_no_plane():
    few = np.zeros(SHAPE, bool)
    few[0, :2] = True
    assert standing(np.ones(SHAPE), few) is None
    line = np.zeros(SHAPE, bool)
    line[5] = True
    assert standing(np.ones(SHAPE), line) is None


def test_the_mean_is_that_of_the_measured_pixels():
    rng = np.random.default_rng(1)
    values, valid = rng.random((7, 8)), rng.random((7, 8)) > 0.4
    found = measured_mean(values, valid, 3)
    rows, columns = np.pad(np.arange(7), 1, "edge"), np.pad(np.arange(8), 1, "edge")
    for y in range(7):
        for x in range(8):
            here = np.ix_(rows[y : y + 3], columns[x : x + 3])  # the border is replicated
            known = valid[here]
            expected = values[here][known].mean() if known.any() else np.nan
            assert found[y, x] == pytest.approx(expected, nan_ok=True)


def test_refits_average_noise_and_on_a_bent_table_they_stop_where_the_plane_loses_pixels():
    rng, places = np.random.default_rng(0), plane_places(SHAPE)
    noisy = 1 / table_depth() + rng.normal(0, 0.002, SHAPE)
    bent = noisy + 0.1 * np.square(places[..., 0])

    def pixels(inverse, kept):
        plane = places @ plane_inverse(inverse, np.ones(SHAPE, bool), 0.01, kept=kept)
        return np.count_nonzero(np.abs(plane - inverse) < 0.01), np.abs(plane - 1 / table_depth()).max()

    assert pixels(noisy, 0.99) == pixels(noisy, 0.0)
    assert pixels(noisy, 0.0)[1] < 0.0005
    assert pixels(bent, 0.99)[0] > pixels(bent, 0.0)[0]
