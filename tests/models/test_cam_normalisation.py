import pytest
import torch

from models.cam_normalisation import NORMALISATIONS, check_normalisation


@pytest.mark.parametrize("name", sorted(NORMALISATIONS))
def test_values_lie_between_0_and_1_and_keep_their_order(name):
    scores = torch.randn(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    found = NORMALISATIONS[name](scores)
    assert found.shape == scores.shape
    assert found.min() >= 0
    assert found.max() <= 1
    order = scores[0, 0].flatten().argsort()
    assert (found[0, 0].flatten()[order].diff() >= 0).all()


@pytest.mark.parametrize("name", sorted(NORMALISATIONS))
def test_a_map_that_is_nowhere_positive_is_0(name):
    assert not NORMALISATIONS[name](-torch.rand(1, 2, 4, 4)).any()


@pytest.mark.parametrize("name", sorted(NORMALISATIONS))
def test_each_map_is_normalised_by_itself_and_has_a_finite_gradient(name):
    scores = torch.randn(2, 3, 9, 11, generator=torch.Generator().manual_seed(1)).requires_grad_()
    found = NORMALISATIONS[name](scores)
    assert torch.equal(found[1, 2], NORMALISATIONS[name](scores[1, 2]))
    found.square().sum().backward()
    assert scores.grad.any()
    assert torch.isfinite(scores.grad).all()


def test_the_maximum_becomes_1():
    assert NORMALISATIONS["max"](torch.tensor([[[[-1.0, 2.0], [4.0, 0.0]]]])).flatten().tolist() == [0, 0.5, 1, 0]


def test_a_single_very_strong_cell_does_not_set_the_scale_of_the_quantile():
    scores = torch.ones(1, 1, 20, 20)
    scores[..., 3, 3] = 100.0
    assert NORMALISATIONS["quantile"](scores).min() == 1
    assert NORMALISATIONS["max"](scores).min() == pytest.approx(0.01)


def test_a_1_cell_object_has_no_quantile_and_is_divided_by_its_maximum():
    scores = torch.full((1, 1, 20, 20), -1.0)
    scores[..., 5, 7] = 3.0
    found = NORMALISATIONS["quantile"](scores)
    assert found[..., 5, 7] == 1
    assert found.sum() == 1


def test_an_unknown_name_is_named():
    with pytest.raises(ValueError, match=r"'softmax'"):
        check_normalisation("softmax")
