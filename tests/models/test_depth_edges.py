import math

import pytest
import torch

from models.depth_edges import inverse_depth, inverse_depth_curvature, sobel_magnitude


def reference_sobel(values):
    height, width = values.shape
    x = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]

    def at(i, j):
        return float(values[min(max(i, 0), height - 1), min(max(j, 0), width - 1)])

    result = torch.zeros_like(values)
    for i in range(height):
        for j in range(width):
            gx = sum(x[a][b] * at(i + a - 1, j + b - 1) for a in range(3) for b in range(3)) / 8
            gy = sum(x[b][a] * at(i + a - 1, j + b - 1) for a in range(3) for b in range(3)) / 8
            result[i, j] = math.hypot(gx, gy)
    return result


def test_sobel_equals_the_loops():
    values = torch.rand(7, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(sobel_magnitude(values[None, None])[0, 0], reference_sobel(values), atol=1e-12)


def test_sobel_of_a_ramp_is_its_slope():
    ramp = torch.arange(8.0).expand(6, 8)[None, None]
    assert sobel_magnitude(ramp)[0, 0, 3, 3] == pytest.approx(1.0)


def test_sobel_of_a_flat_map_has_a_finite_gradient():
    values = torch.ones(1, 1, 4, 4, requires_grad=True)
    sobel_magnitude(values).sum().backward()
    assert not values.grad.any()


def test_inverse_depth_averages_valid_pixels_only():
    depth = torch.tensor([[1.0, 2.0, 0.0, 5.0], [4.0, 0.5, 0.0, 9.0]])[None, None]
    valid = torch.tensor([[True, True, False, False], [True, False, False, False]])[None, None]
    inverse, known = inverse_depth(depth, valid, 2)
    assert inverse[0, 0, 0, 0] == pytest.approx((1 + 0.5 + 0.25) / 3)
    assert known[0, 0, 0].tolist() == [True, False]
    assert inverse[0, 0, 0, 1] == 0


def test_curvature_equals_the_loops():
    values = torch.rand(1, 1, 8, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    known = torch.rand(1, 1, 8, 9, generator=torch.Generator().manual_seed(2)) > 0.2
    curvature, defined = inverse_depth_curvature(values, known, reach=2)
    for i in range(8):
        for j in range(9):
            found = []
            for di, dj in ((0, 2), (2, 0)):
                a, b = (i - di, j - dj), (i + di, j + dj)
                if min(a) < 0 or b[0] >= 8 or b[1] >= 9:
                    continue
                if known[0, 0, *a] and known[0, 0, *b] and known[0, 0, i, j]:
                    found.append(abs(float(values[0, 0, *a] + values[0, 0, *b] - 2 * values[0, 0, i, j])))
            assert bool(defined[0, 0, i, j]) == bool(found)
            assert float(curvature[0, 0, i, j]) == pytest.approx(max(found, default=0.0))


def test_curvature_of_a_plane_is_zero_and_of_a_crease_is_not():
    columns = torch.arange(20.0, dtype=torch.float64).expand(12, 20)
    known = torch.ones(1, 1, 12, 20, dtype=torch.bool)
    plane = (1 + 0.1 * columns)[None, None]
    crease = (1 + 0.1 * (columns - 10).abs())[None, None]
    assert float(inverse_depth_curvature(plane, known)[0].max()) < 1e-12
    assert float(inverse_depth_curvature(crease, known)[0][0, 0, 6, 10]) == pytest.approx(0.4)


def test_a_map_smaller_than_the_stencil_has_no_edge():
    curvature, defined = inverse_depth_curvature(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1, dtype=torch.bool))
    assert not curvature.any()
    assert not defined.any()
