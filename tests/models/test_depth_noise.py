import numpy as np
import pytest
import torch

from models.depth_noise import GROUPS, LARGEST_RATIO, depth_noise, median_of


def reference(curvature, inverse, known):
    """The noise of one image in loops: medians of groups by distance, and lines between them."""
    cells = sorted((float(inverse[i, j]), i, j) for i in range(len(known)) for j in range(len(known[0])) if known[i, j])
    whole = sorted(float(curvature[i, j]) for _, i, j in cells)
    middle = whole[(len(whole) - 1) // 2]
    places, levels = [], []
    for number in range(GROUPS):
        group = [cell for rank, cell in enumerate(cells) if rank * GROUPS // len(cells) == number]
        values = sorted(float(curvature[i, j]) for _, i, j in group)
        places.append(group[(len(group) - 1) // 2][0])
        levels.append(min(max(values[(len(values) - 1) // 2], middle / LARGEST_RATIO), middle * LARGEST_RATIO))
    return np.interp(inverse.numpy(), places, levels)


def test_equals_the_loops():
    generator = torch.Generator().manual_seed(0)
    inverse = 0.5 + torch.rand(3, 1, 7, 9, generator=generator, dtype=torch.float64)
    curvature = torch.rand(3, 1, 7, 9, generator=generator, dtype=torch.float64) * inverse
    known = torch.rand(3, 1, 7, 9, generator=generator) > 0.2
    found = depth_noise(curvature, inverse, known)
    for one, *parts in zip(found, curvature, inverse, known, strict=True):
        assert one[0].numpy() == pytest.approx(reference(*(part[0] for part in parts)), rel=1e-9)


def test_noise_that_grows_with_distance_is_followed():
    inverse = torch.linspace(0.5, 2.0, 3000).view(1, 1, 30, 100)
    generator = torch.Generator().manual_seed(1)
    curvature = (torch.randn(inverse.shape, generator=generator) * 0.01 / inverse).abs()
    noise = depth_noise(curvature, inverse, torch.ones_like(inverse, dtype=torch.bool))[0, 0].flatten()
    assert noise[0] > 1.2 * noise[-1]


def test_borders_of_a_few_cells_change_nothing():
    inverse = torch.linspace(1, 2, 400).view(1, 1, 20, 20)
    quiet = torch.full_like(inverse, 0.003)
    edges = quiet.clone()
    edges[..., ::5, :] = 1.0
    known = torch.ones_like(inverse, dtype=torch.bool)
    assert torch.equal(depth_noise(edges, inverse, known), depth_noise(quiet, inverse, known))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_with_hardly_anything_known(count):
    known = torch.zeros(1, 1, 2, 3, dtype=torch.bool)
    known.view(-1)[:count] = True
    noise = depth_noise(torch.full((1, 1, 2, 3), 0.5), torch.ones(1, 1, 2, 3), known)
    assert noise.isfinite().all()
    assert noise.max() <= 0.5 * LARGEST_RATIO
    assert bool(noise.any()) == (count > 0)


def test_the_lower_median_of_what_is_known():
    values, known = torch.tensor([[4.0, 1.0, 3.0, 2.0]]), torch.tensor([[True, True, True, True]])
    assert median_of(values, known).tolist() == [2.0]
    assert median_of(values, ~known).tolist() == [0.0]
