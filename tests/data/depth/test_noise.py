import numpy as np
import pytest

from data.depth.noise import DepthNoise, degrade


def scene():
    depth = np.full((60, 80), 1.0, np.float32)
    depth[20:40, 20:50] = 0.6
    depth[:5, :5] = 0
    return depth


def rng():
    return np.random.default_rng(0)


def test_no_noise_changes_nothing():
    assert not DepthNoise()
    assert np.array_equal(degrade(scene(), DepthNoise(), rng()), scene())


def test_gaussian_noise_has_the_given_deviation_and_keeps_holes():
    noisy = degrade(scene(), DepthNoise(gaussian=0.02), rng())
    measured = scene() > 0
    assert (noisy - scene())[measured].std() == pytest.approx(0.02, rel=0.05)
    assert not noisy[~measured].any()
    assert (degrade(np.full((50, 50), 0.01, np.float32), DepthNoise(gaussian=1.0), rng()) > 0).all()


def test_dropout_makes_round_holes_of_the_given_share():
    noisy = degrade(np.ones((100, 100), np.float32), DepthNoise(dropout=0.2), rng())
    holes = noisy == 0
    assert holes.mean() == pytest.approx(0.2, abs=0.01)
    assert (holes[:, 1:] == holes[:, :-1]).mean() > 0.9  # neighbouring pixels are mostly alike


def test_bleeding_moves_only_borders():
    noisy = degrade(scene(), DepthNoise(bleeding=2.0), rng())
    changed = noisy != scene()
    assert changed.any()
    assert set(np.unique(noisy)) <= set(np.unique(scene()))  # no new depth values
    inside = np.zeros_like(changed)
    inside[32:36, 36:44] = True  # far from every border
    assert not changed[inside].any()


def test_the_same_generator_gives_the_same_noise():
    noise = DepthNoise(0.01, 0.1, 1.0)
    assert np.array_equal(degrade(scene(), noise, rng()), degrade(scene(), noise, rng()))
