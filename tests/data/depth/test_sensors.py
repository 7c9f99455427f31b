import dataclasses

import numpy as np
import pytest

from data.depth import SENSORS
from data.depth.noise import smooth_field
from data.depth.sensors import hidden, luminance, matched_surface, odd_side, rounded_disparity, sense

KINECT = SENSORS["kinect"]
PLAIN = dataclasses.replace(KINECT, rms=0.0, lateral=0.0, registration=0.0, dark=(), band=(0.0, 0.0, 0.0, 0.0))
"""A Kinect without chance and without a border."""


def rng(seed=0):
    return np.random.default_rng(seed)


def scene(near=0.8, far=1.2):
    """A box before a wall, (240, 320)."""
    depth = np.full((240, 320), far, np.float32)
    depth[80:160, 120:220] = near
    return depth


def grey(value=128, shape=(240, 320)):
    return np.full((*shape, 3), value, np.uint8)


def reference_hidden(disparity):
    """By the definition: any point further right that lands at or before the column of x is nearer, and hides x."""
    found = np.zeros(disparity.shape, bool)
    for y, row in enumerate(disparity):
        for x in range(len(row)):
            found[y, x] = any(other - row[other] <= x - row[x] for other in range(x + 1, len(row)))
    return found


def reference_surface(disparity, visible, side, rank):
    """One window at a time; beyond the border the last pixel is repeated."""
    height, width = disparity.shape
    reach = side // 2
    found, share = np.zeros(disparity.shape), np.zeros(disparity.shape)
    for y in range(height):
        for x in range(width):
            window = [
                (min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1))
                for dy in range(-reach, reach + 1)
                for dx in range(-reach, reach + 1)
            ]
            values = sorted(disparity[place] for place in window)
            chosen = values[int(rank * side**2)]
            found[y, x] = np.mean([value for value in values if abs(value - chosen) < 1])
            share[y, x] = np.mean([visible[place] for place in window])
    return found, share


def test_what_another_view_does_not_see_equals_the_definition():
    disparity = np.abs(rng().normal(6, 4, (20, 40))).astype(np.float32)
    right = hidden(disparity)
    assert np.array_equal(right, reference_hidden(disparity))
    assert 0.1 < right.mean() < 0.9
    left = hidden(-disparity, is_right=False)
    assert np.array_equal(left, reference_hidden(disparity[:, ::-1])[:, ::-1])
    assert not np.array_equal(left, right)


def test_the_shadow_lies_beside_the_near_object_and_is_as_wide_as_the_jump():
    disparity = np.full((1, 40), 2.0, np.float32)
    disparity[0, 20:30] = 9.0
    assert np.flatnonzero(hidden(disparity)).tolist() == list(range(13, 20))
    assert np.flatnonzero(hidden(-disparity, is_right=False)).tolist() == list(range(30, 37))
    slope = np.linspace(0, 20, 40, dtype=np.float32)[None]  # half a pixel a pixel: each point is seen
    assert not hidden(slope).any()


@pytest.mark.parametrize(("side", "rank"), [(1, 0.5), (3, 0.5), (5, 0.7)])
def test_the_surface_of_a_window_equals_the_loops(side, rank):
    disparity = np.where(rng().random((12, 15)) < 0.4, 3.0, 8.0) + rng(1).normal(0, 0.3, (12, 15))
    visible = rng(2).random((12, 15)) < 0.7
    found, share = matched_surface(disparity.astype(np.float32), visible, side, rank)
    expected, expected_share = reference_surface(disparity, visible, side, rank)
    assert np.abs(found - expected).max() < 1e-5
    assert np.abs(share - expected_share).max() < 1e-6


def test_rounding_is_to_whole_steps_and_the_noise_is_as_told():
    disparity = rng().uniform(0, 60, (200, 300)).astype(np.float32)
    exact = rounded_disparity(disparity, 0.125, 0.0, 7, rng())
    assert np.array_equal(exact, [[max(0.125, round(float(d) * 8) / 8) for d in row] for row in disparity])
    plane = np.full((400, 400), 30.0, np.float32)
    noise = rounded_disparity(plane, 1e-4, 0.1, 7, rng()) - 30
    assert noise.std() == pytest.approx(0.1, rel=0.03)
    # Averages over windows of side c share 1 - l/c of their pixels at a distance of l.
    for lag in (1, 3, 6, 7, 12):
        correlation = (noise[:, lag:] * noise[:, :-lag]).mean() / noise.var()
        assert correlation == pytest.approx(max(0, 1 - lag / 7), abs=0.05)


def test_depth_of_a_plane_has_the_steps_of_the_sensor_at_the_distance_that_is_told():
    ramp = np.repeat(np.linspace(0.3, 0.5, 240, dtype=np.float32)[:, None], 320, 1)
    for scale in (1.0, 2.5):
        found = sense(ramp, grey(), PLAIN, scale, rng())
        assert found.all()
        steps = 8 * 575 * 0.075 / (found * scale)  # multiples of 1/8 pixel
        assert np.abs(steps - np.rint(steps)).max() < 1e-3
        assert np.abs(1 / found - 1 / ramp).max() < scale * 0.6 / (8 * 575 * 0.075) + 0.01  # the window rounds the ends


def test_noise_grows_with_the_square_of_the_distance():
    model = dataclasses.replace(PLAIN, rms=0.087)
    wide = [sense(np.full((240, 320), z, np.float32), grey(), model, 1.0, rng()).std() for z in (1.0, 2.0)]
    assert wide[1] / wide[0] == pytest.approx(4, rel=0.25)
    assert wide[0] == pytest.approx(np.hypot(0.087, 0.125 / np.sqrt(12)) / (575 * 0.075), rel=0.15)


def test_a_kinect_has_a_wide_shadow_on_the_left_and_a_narrow_one_on_the_right():
    holes = sense(scene(0.7, 1.4), grey(), PLAIN, 1.0, rng())[120] == 0
    jump = (1 / 0.7 - 1 / 1.4) * 525 / 640 * 320  # pixels a metre of baseline
    left, right = holes[:170].sum(), holes[170:].sum()
    assert left == pytest.approx(0.05 * jump, abs=1.5)
    assert right == pytest.approx(0.025 * jump, abs=1.5)
    assert holes[120 - left - 1 : 120].sum() >= left - 1  # it touches the object
    far_away = sense(scene(0.7, 1.4), grey(), PLAIN, 4.0, rng())[120] == 0
    assert far_away.sum() < holes.sum()


def test_a_realsense_has_a_shadow_on_the_left_alone_and_near_surfaces_grow():
    model = dataclasses.replace(SENSORS["realsense"], rms=0.0)
    found = sense(scene(0.5, 1.4), grey(), model, 1.0, rng())
    assert (found[120, :120] == 0).any()
    assert not (found[120, 220:] == 0).any()
    assert ((found > 0) & (found < 0.6)).sum() > (scene(0.5, 1.4) < 0.6).sum()


def test_dark_pixels_are_missed_as_often_as_told():
    model = dataclasses.replace(PLAIN, dark=KINECT.dark)
    plane = np.full((240, 320), 1.0, np.float32)
    for value, share in ((5, 0.48), (16, 0.17), (79, 0.17), (80, 0.02), (255, 0.02)):
        found = [(sense(plane, grey(value), model, 1.0, rng(seed)) == 0).mean() for seed in range(4)]
        assert np.mean(found) == pytest.approx(share, abs=0.02 + 0.1 * share)
    holes = sense(plane, grey(5), model, 1.0, rng()) == 0
    assert (holes[:, 1:] == holes[:, :-1]).mean() > 0.8  # blobs
    assert luminance(np.array([[[255, 255, 255], [0, 255, 0]]], np.uint8)) == pytest.approx(np.array([[255, 149.685]]))


def test_bands_at_the_image_borders_have_no_depth():
    found = sense(np.ones((240, 320), np.float32), grey(), dataclasses.replace(PLAIN, band=KINECT.band), 1.0, rng())
    rows, columns = np.nonzero(found)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (5, 319 - 18, 8, 239 - 5)
    assert (found[8:235, 5:302] > 0).all()


def test_borders_shift_together_and_surfaces_stay():
    model = dataclasses.replace(PLAIN, registration=8.0, views=())
    shifts = set()
    for seed in range(12):
        found = sense(scene(0.7, 1.4), grey(), model, 1.0, rng(seed))
        rows, columns = np.nonzero(found < 1)
        shifts.add((round(columns.mean() - 169.5), round(rows.mean() - 119.5)))
    lengths = np.hypot(*np.array(list(shifts)).T)
    assert len(shifts) > 4
    assert np.abs(lengths - 4).max() < 1  # 8 pixels of 640
    jagged = sense(scene(0.7, 1.4), grey(), dataclasses.replace(PLAIN, lateral=4.0, views=()), 1.0, rng())
    assert len(np.unique(np.argmax(jagged[85:155] < 1, axis=1))) > 2
    assert len(np.unique(jagged)) == 2
    ramp = np.repeat(np.linspace(0.7, 0.8, 240, dtype=np.float32)[:, None], 320, 1)
    still = dataclasses.replace(PLAIN, lateral=4.0, registration=8.0)
    assert np.array_equal(sense(ramp, grey(), still, 1.0, rng()), sense(ramp, grey(), PLAIN, 1.0, rng()))


@pytest.mark.parametrize("name", SENSORS)
def test_the_same_generator_gives_the_same_bytes_and_another_gives_others(name):
    first, again, other = (sense(scene(), grey(), SENSORS[name], 1.0, rng(seed)) for seed in (3, 3, 4))
    assert first.dtype == np.float32
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", SENSORS)
def test_edge_cases(name):
    model, image = SENSORS[name], grey()
    assert not sense(np.zeros((240, 320), np.float32), image, model, 1.0, rng()).any()
    single = np.zeros((240, 320), np.float32)
    single[100, 100] = 0.5
    assert not sense(single, image, model, 1.0, rng()).any()  # no window sees enough of it
    holes = scene()
    holes[:, :160] = 0
    found = sense(holes, image, model, 1.0, rng())
    assert not found[:, :150].any()
    assert found[:, 180:290].mean() > 0.5
    assert np.isfinite(found).all()
    far = sense(np.full((240, 320), 500.0, np.float32), image, model, 1.0, rng())
    assert np.isfinite(far).all()
    assert far.max() <= model.focal_baseline / model.step + 1e-3  # one step of disparity
    for shape in ((1, 1), (1, 30), (30, 1), (7, 9)):
        found = sense(np.ones(shape, np.float32), grey(shape=shape), model, 1.0, rng())
        assert found.shape == shape
        assert np.isfinite(found).all()


def test_sides_are_odd():
    assert [odd_side(length) for length in (0.2, 1, 1.9, 2.1, 3.5, 4.5, 7, 9)] == [1, 1, 1, 3, 3, 5, 7, 9]
    assert smooth_field((40, 50), 2.0, rng()).std() == pytest.approx(1)
