import numpy as np
import pytest

from data.demo.raycast import Camera, Primitive, intersect, render, value_noise


def camera(height=1.0, width=41, rows=31):
    eye = np.array([0.0, -0.001, height])
    return Camera.looking_at(eye, np.zeros(3), 40.0, width, rows)


def primitive(shape, size, position=(0.0, 0.0), yaw=0.0):
    return Primitive(shape, np.array(size), np.array(position), yaw, "plain")


TEXTURES = {"table": lambda p: np.full((len(p), 3), 0.5), "plain": lambda p: np.ones((len(p), 3))}
UP = np.array([0.0, 0.0, 1.0])


def test_depth_from_above_is_the_distance_to_the_top():
    for shape, size in (("box", (0.2, 0.2, 0.3)), ("can", (0.2, 0.2, 0.3)), ("ball", (0.3, 0.3, 0.3))):
        _, depth, visible, masks = render(camera(), [primitive(shape, size)], TEXTURES, UP)
        assert depth[15, 20] == pytest.approx(0.7, abs=2e-3)
        assert visible[15, 20] == 1
        assert masks[0][15, 20]
        assert depth[0, 0] == pytest.approx(1.0, abs=0.02)


def test_depth_of_the_table_is_affine_in_its_inverse():
    eye = np.array([0.3, -0.8, 0.5])
    view = Camera.looking_at(eye, np.zeros(3), 60.0, 40, 30)
    _, depth, visible, _ = render(view, [], TEXTURES, UP)
    assert not visible.any()
    inverse = 1 / depth
    for axis in (0, 1):
        assert np.abs(np.diff(inverse, n=2, axis=axis)).max() < 1e-9


def test_hits_satisfy_the_equation_of_the_surface():
    rng = np.random.default_rng(0)
    for shape in ("box", "can", "ball"):
        thing = primitive(shape, (0.2, 0.2, 0.2), (0.1, -0.05), 0.7)
        origin = np.array([0.6, 0.5, 0.8])
        rays = thing.centre + rng.normal(0, 0.05, (200, 3)) - origin
        t, local, normal = intersect(thing, origin, rays)
        hit = np.isfinite(t)
        assert hit.any()
        point = (origin + t[hit, None] * rays[hit] - thing.centre) @ thing.rotation / 0.2
        assert local[hit] == pytest.approx(point, abs=1e-9)
        surface = {
            "box": np.abs(point).max(1),
            "ball": np.linalg.norm(point, axis=1),
            "can": np.maximum(np.hypot(point[:, 0], point[:, 1]), np.abs(point[:, 2])),
        }[shape]
        assert surface == pytest.approx(0.5, abs=1e-9)
        assert np.linalg.norm(normal[hit], axis=1) == pytest.approx(1.0)
        assert ((normal[hit] * rays[hit]).sum(1) < 0).all()


def test_the_nearer_object_hides_the_other():
    low, high = primitive("box", (0.3, 0.3, 0.1)), primitive("can", (0.1, 0.1, 0.4))
    _, _, visible, masks = render(camera(), [low, high], TEXTURES, UP)
    assert visible[15, 20] == 2
    assert masks[0][15, 20]
    assert masks[0].sum() > (visible == 1).sum()


def test_noise_is_smooth_bounded_and_repeatable():
    points = np.random.default_rng(1).uniform(-50, 50, (500, 3))
    noise = value_noise(points, 3)
    assert noise.min() >= 0
    assert noise.max() <= 1
    assert np.array_equal(noise, value_noise(points, 3))
    assert not np.array_equal(noise, value_noise(points, 4))
    assert np.abs(value_noise(points + 1e-4, 3) - noise).max() < 1e-2
