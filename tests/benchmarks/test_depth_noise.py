"""The measures of the benchmark of depth noise, on depth whose values are known."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

spec = importlib.util.spec_from_file_location(
    "depth_noise", Path(__file__).parents[2] / "benchmarks" / "depth_noise.py"
)
bench = importlib.util.module_from_spec(spec)
sys.modules["depth_noise"] = bench  # for its dataclass
spec.loader.exec_module(bench)


def scene():
    """A box before a wall, (480, 640), 5 pixels without depth on its left, a border, a dark and another hole."""
    depth = np.full((480, 640), 2.0, np.float32)
    depth[200:300, 300:400] = 1.0
    depth[200:300, 295:300] = 0
    depth[:, :10] = 0
    depth[100:110, 100:110] = 0
    depth[400:410, 100:110] = 0
    brightness = np.full((480, 640), 128.0)
    brightness[100:110, 100:110] = 20
    return depth, brightness


def test_second_differences_are_those_of_inverse_depth():
    inverse = np.tile(0.5 + 0.001 * np.arange(50.0) ** 2, (40, 1))
    found, where = bench.second_differences(1 / inverse, 3)
    along_y, along_x = found[: 34 * 50], found[34 * 50 :]  # second differences of c x^2 are 2 c r^2
    assert np.allclose(along_x, 2 * 0.001 * 9)
    assert np.allclose(along_y, 0)
    assert len(where) == len(found)


def test_holes_have_their_places():
    shares = bench.hole_places(*scene()) * 480 * 640
    assert shares == pytest.approx([480 * 10, 0, 100 * 5, 100, 100])


def test_holes_at_jumps_have_their_length_and_side():
    near_right = [(jump, gap) for side, jump, gap in bench.holes_at_jumps(scene()[0]) if side == 1]
    near_left = [(jump, gap) for side, jump, gap in bench.holes_at_jumps(scene()[0]) if side == 0]
    assert near_right == [(2, 5)] * 100  # a jump of 0.5 1/m
    assert near_left == [(2, 0)] * 100


def test_the_shift_between_depth_and_masks_is_found():
    truth = np.zeros((480, 640), np.uint16)
    truth[203:303, 304:404] = 1
    depth = np.where(scene()[0] == 0, np.float32(2), scene()[0])
    assert bench.border_shift(depth, truth) == pytest.approx(5)
    assert bench.border_shift(np.full((480, 640), 2.0, np.float32), truth) is None


def test_a_flat_patch_is_its_plane():
    rows, columns = np.indices((64, 64))
    disparity = 40 + 0.01 * rows - 0.02 * columns
    found = list(bench.flat_patches(575 * 0.075 / disparity))
    assert len(found) == 4
    assert np.abs(found[1][1] - disparity[:32, 32:]).max() < 1e-6
