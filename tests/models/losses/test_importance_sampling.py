import math

import pytest
import torch

from models.losses import ImportanceSamplingLoss
from models.losses.importance_sampling import FLOOR


def reference_loss(maps, tags, places):
    """Binary cross entropy of the drawn activations, in loops; `places` as (B, K, n) positions."""
    terms = []
    for b, image in enumerate(maps):
        for k, scores in enumerate(image):
            for place in places[b][k]:
                probability = 1 / (1 + math.exp(-float(scores.flatten()[place])))
                terms.append(-math.log(probability if tags[b, k] else 1 - probability))
    return sum(terms) / len(terms)


def test_equals_the_loops_on_the_positions_it_drew():
    maps = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tags = torch.tensor([[1, 0, 1], [0, 1, 0]])
    places = torch.multinomial(
        maps.flatten(2).flatten(0, 1).sigmoid() + FLOOR, 7, replacement=True, generator=torch.Generator().manual_seed(5)
    )
    found = ImportanceSamplingLoss(samples=7)(maps, tags, torch.Generator().manual_seed(5))
    assert float(found) == pytest.approx(reference_loss(maps, tags, places.view(2, 3, 7).tolist()), rel=1e-12)


def test_positions_are_drawn_as_often_as_their_probability_says():
    maps = torch.tensor([[[[2.0, 0.0], [-3.0, -20.0]]]], dtype=torch.float64, requires_grad=True)
    samples = 40_000
    ImportanceSamplingLoss(samples)(maps, torch.tensor([[1]]), torch.Generator().manual_seed(0)).backward()
    # each draw of a position adds (sigmoid(s) - 1) / n to its gradient
    drawn = maps.grad.flatten() / (maps.detach().sigmoid().flatten() - 1) * samples
    expected = maps.detach().sigmoid().flatten() + FLOOR
    assert torch.allclose(drawn / samples, expected / expected.sum(), atol=0.01)


def test_gradcheck_with_the_draw_held_fixed():
    maps = torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    tags = torch.tensor([[1, 0]])
    places = torch.multinomial(
        maps.flatten(2)[0].sigmoid() + FLOOR, 4, replacement=True, generator=torch.Generator().manual_seed(2)
    )
    maps.requires_grad_()
    ImportanceSamplingLoss(4)(maps, tags, torch.Generator().manual_seed(2)).backward()
    step = 1e-6
    for k, i, j in ((0, 0, 1), (0, 2, 2), (1, 1, 0), (1, 2, 1)):
        moved = []
        for sign in (1, -1):
            values = maps.detach().clone()
            values[0, k, i, j] += sign * step
            moved.append(reference_loss(values, tags, [places.tolist()]))
        assert float(maps.grad[0, k, i, j]) == pytest.approx((moved[0] - moved[1]) / (2 * step), abs=1e-7)


def test_a_small_strong_map_satisfies_it_where_an_average_is_far_from_satisfied():
    maps = torch.full((1, 1, 20, 20), -8.0)
    maps[..., 10, 10] = 8.0  # a 1-cell object
    loss = ImportanceSamplingLoss(50)(maps, torch.tensor([[1]]), torch.Generator().manual_seed(0))
    average = torch.nn.functional.softplus(-maps.mean())
    assert float(loss) < 0.5 * float(average)


def test_one_position_and_no_present_class():
    assert float(ImportanceSamplingLoss(3)(torch.zeros(1, 2, 1, 1), torch.zeros(1, 2))) == pytest.approx(math.log(2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_it_computes_in_float32(dtype):
    maps = torch.randn(2, 3, 4, 5).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = ImportanceSamplingLoss()(maps, torch.ones(2, 3))
    assert found.dtype == torch.float32
    assert torch.isfinite(found)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="expected maps"):
        ImportanceSamplingLoss()(torch.zeros(1, 2, 3, 3), torch.zeros(1, 3))
    with pytest.raises(ValueError, match="samples must be"):
        ImportanceSamplingLoss(samples=0)
