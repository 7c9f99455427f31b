import numpy as np

from models.pinhole import back_project


def test_points_project_back_onto_their_pixels():
    """u = fx x / z + cx, v = fy y / z + cy, pixel by pixel."""
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.3, 4.0, (5, 7))
    points = back_project(depth, fx=210.0, fy=190.0, cx=3.2, cy=1.9)
    assert (points.shape, points.dtype) == ((5, 7, 3), np.float32)
    for v in range(5):
        for u in range(7):
            x, y, z = points[v, u].astype(float)
            assert np.isclose(z, depth[v, u])
            assert np.isclose(210.0 * x / z + 3.2, u, atol=1e-4)
            assert np.isclose(190.0 * y / z + 1.9, v, atol=1e-4)


def test_what_is_not_measured_has_no_point():
    points = back_project(np.array([[0.0, np.nan, -1.0, 1.0]]), 1, 1, 0, 0)
    assert np.isfinite(points).all(-1).tolist() == [[False, False, False, True]]
