import numpy as np
import pytest
import torch

from models.object_crops import MOSTLY, crop_object, object_keys

GREY = (0.5, 0.4, 0.3)


def test_a_square_mask_fills_the_crop_at_its_own_scale():
    image = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))
    mask = np.zeros((20, 30), bool)
    mask[4:12, 10:18] = True
    crop, weight = crop_object(image, mask, size=8, margin=0.0, suppress=True, fill=GREY)
    assert torch.allclose(crop, image[:, 4:12, 10:18], atol=1e-5)
    assert torch.allclose(weight, torch.ones(8, 8), atol=1e-5)


def test_what_is_around_is_suppressed_or_kept():
    image = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))
    mask = np.zeros((20, 30), bool)
    mask[6:10, 10:18] = True  # the crop is a square of 8 pixels: rows 4 to 11
    kept, weight = crop_object(image, mask, size=8, margin=0.0, suppress=False, fill=GREY)
    assert torch.allclose(kept, image[:, 4:12, 10:18], atol=1e-5)
    crop, _ = crop_object(image, mask, size=8, margin=0.0, suppress=True, fill=GREY)
    assert torch.allclose(crop[:, 2:6], image[:, 6:10, 10:18], atol=1e-5)
    assert torch.allclose(crop[:, :2], torch.tensor(GREY)[:, None, None].expand(3, 2, 8), atol=1e-5)
    assert weight.sum() == pytest.approx(32, abs=1e-3)


def test_beyond_the_image_is_the_fill_and_the_margin_is_on_each_side():
    image, mask = torch.ones(3, 10, 10), np.zeros((10, 10), bool)
    mask[:4, :4] = True
    crop, weight = crop_object(image, mask, size=8, margin=0.5, suppress=False, fill=GREY)  # 8 pixels from (-2, -2)
    assert torch.allclose(crop[:, 3:, 3:], torch.ones(3, 5, 5), atol=1e-5)
    assert torch.allclose(crop[:, :2, :2], torch.tensor(GREY)[:, None, None].expand(3, 2, 2), atol=1e-5)
    assert weight[2:6, 2:6].min() > 0.99


@pytest.mark.parametrize("pooling", ["mean", "gem"])
def test_keys_are_the_weighted_mean_of_the_powers(pooling):
    generator = torch.Generator().manual_seed(1)
    features, weights = torch.rand(2, 3, 4, 5, generator=generator), torch.rand(2, 12, 12, generator=generator)
    power = 3.0 if pooling == "gem" else 1.0
    for b in range(2):
        total, share = np.zeros(5), 0.0
        for y in range(3):
            for x in range(4):
                w = float(weights[b, 4 * y : 4 * y + 4, 3 * x : 3 * x + 3].mean())
                total += w * features[b, y, x].numpy() ** power
                share += w
        expected = (total / share) ** (1 / power)
        found = object_keys(features, weights, pooling)[b].numpy()
        assert found.shape == (1, 5)
        assert found[0] == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)


def test_patches_are_the_cells_that_are_mostly_object_or_the_one_that_is_most_of_it():
    features = torch.randn(2, 2, 2, 3, generator=torch.Generator().manual_seed(0))
    weights = torch.zeros(2, 4, 4)
    weights[0, :2] = 1  # two cells
    weights[0, 2, :2] = 2 * MOSTLY - 0.1  # less than half of the third
    weights[1, 3, 3] = 1  # a quarter of one cell: all that there is
    found = object_keys(features, weights, "patches")
    units = (features / features.norm(dim=3, keepdim=True)).flatten(1, 2)
    assert torch.equal(found.any(2), torch.tensor([[True, True, False, False], [False, False, False, True]]))
    assert found[0, :2].numpy() == pytest.approx(units[0, :2].numpy(), abs=1e-6)
    assert found[1, 3].numpy() == pytest.approx(units[1, 3].numpy(), abs=1e-6)


@pytest.mark.parametrize("pooling", ["patches", "mean", "gem"])
def test_an_empty_weight_gives_a_number(pooling):
    found = object_keys(torch.rand(1, 2, 2, 3), torch.zeros(1, 4, 4), pooling)
    assert torch.isfinite(found).all()
    assert found.any()
