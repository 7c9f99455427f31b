import numpy as np
import pytest

from data.depth.cleaning import clean_depth, fill_holes


def test_holes_take_the_nearest_valid_value():
    rng = np.random.default_rng(0)
    depth = rng.random((9, 11)).astype(np.float32)
    valid = rng.random((9, 11)) > 0.6
    filled = fill_holes(depth, valid)
    assert np.array_equal(filled[valid], depth[valid])
    positions = np.argwhere(valid)
    for i, j in np.argwhere(~valid):
        distances = np.hypot(*(positions - (i, j)).T)
        nearest = [depth[tuple(position)] for position in positions[np.isclose(distances, distances.min())]]
        assert filled[i, j] in nearest


def test_clean_depth_marks_measured_pixels_and_has_no_holes():
    raw = np.full((10, 10), 0.8, np.float32)
    raw[2:4, 2:4], raw[0, 0], raw[9, 9], raw[5, 5] = 0, np.nan, 99, 0.001
    depth, valid = clean_depth(raw)
    assert depth.dtype == np.float32
    assert depth == pytest.approx(np.full((10, 10), 0.8))
    assert (~valid).sum() == 4 + 3


def test_the_median_removes_a_speckle_and_keeps_an_edge():
    raw = np.full((9, 9), 1.0, np.float32)
    raw[:, 5:] = 2.0
    raw[4, 2] = 1.5
    depth, _ = clean_depth(raw)
    assert depth[4, 2] == 1.0
    assert (depth[:, 4] == 1.0).all()
    assert (depth[:, 5] == 2.0).all()
    assert clean_depth(raw, median_size=1)[0][4, 2] == 1.5


def test_depth_without_a_valid_pixel_is_refused():
    with pytest.raises(ValueError, match="no valid pixel"):
        clean_depth(np.zeros((3, 3), np.float32))
