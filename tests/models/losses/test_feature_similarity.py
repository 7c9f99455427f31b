import math

import pytest
import torch

from models.cam_normalisation import NORMALISATIONS
from models.losses import FeatureSimilarityLoss
from models.losses.feature_similarity import RADIUS, weighted_difference


def reference_loss(maps, image, mu, sigma, reach=math.inf):
    """Sum over all pairs in loops, of maps (C, h, w) with background and image (3, h, w)."""
    _, height, width = maps.shape
    total = 0.0
    cells = [(i, j) for i in range(height) for j in range(width)]
    for i in cells:
        for j in cells:
            distance = math.dist(i, j)
            if distance > reach:
                continue
            delta = sum(abs(float(image[c][i]) - float(image[c][j])) for c in range(3)) / 3
            gate = math.tanh(mu + math.log((delta + 1e-5) / (1 - delta + 1e-5)))
            weight = math.exp(-(distance**2) / (2 * sigma**2)) / (2 * math.pi * sigma**2)
            difference = sum((float(maps[c][i]) - float(maps[c][j])) ** 2 for c in range(len(maps)))
            total += weight * 0.5 * difference * gate
    return -total / (height * width)


def case(height=7, width=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    cam = torch.randn(2, 3, height, width, generator=generator, dtype=torch.float64)
    image = torch.rand(2, 3, height, width, generator=generator, dtype=torch.float64)
    return cam, image, torch.tensor([[1, 0, 1], [0, 1, 0]])


def normalised(cam, tags):
    rectified = cam.clamp(min=0)
    foreground = rectified / rectified.amax((-2, -1), keepdim=True).clamp(min=1e-5) * tags[:, :, None, None]
    return torch.cat([1 - foreground.amax(1, keepdim=True), foreground], 1)


@pytest.mark.parametrize("sigma", [1.0, 5.0])
def test_equals_the_loops_over_all_pairs(sigma):
    cam, image, tags = case()
    maps = normalised(cam, tags)
    reach = RADIUS * sigma
    expected = sum(reference_loss(maps[b], image[b], 2.5, sigma, reach) for b in range(2)) / 2
    assert float(FeatureSimilarityLoss(sigma=sigma)(cam, image, tags)) == pytest.approx(expected, rel=1e-9)


def test_what_is_left_out_beyond_three_sigma_is_small():
    cam, image, tags = case(12, 12)
    maps = normalised(cam, tags)
    whole = sum(reference_loss(maps[b], image[b], 2.5, 1.5) for b in range(2)) / 2
    assert float(FeatureSimilarityLoss(sigma=1.5)(cam, image, tags)) == pytest.approx(whole, rel=0.03)


def test_strips_do_not_change_the_sum():
    cam, image, _ = case(19, 5)  # three strips, the last one short
    found = weighted_difference(cam, image, 2.5, 2.0)
    for b, i, j in ((0, 0, 0), (0, 8, 3), (1, 18, 4)):
        for channel in range(3):
            expected = 0.0
            for m in range(19):
                for n in range(5):
                    distance2 = (i - m) ** 2 + (j - n) ** 2
                    if distance2 > 36:
                        continue
                    delta = float((image[b, :, i, j] - image[b, :, m, n]).abs().sum()) / 3
                    gate = math.tanh(2.5 + math.log((delta + 1e-5) / (1 - delta + 1e-5)))
                    weight = gate * math.exp(-distance2 / 8) / (8 * math.pi)
                    expected += weight * float(cam[b, channel, i, j] - cam[b, channel, m, n])
            assert float(found[b, channel, i, j]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("normalisation", sorted(NORMALISATIONS))
def test_gradcheck(normalisation):
    cam, image, tags = case(4, 5)
    assert cam.abs().min() > 1e-3  # ReLU has a kink at 0; the check moves values by 1e-6
    loss = FeatureSimilarityLoss(sigma=1.0, normalisation=normalisation)
    assert torch.autograd.gradcheck(lambda values: loss(values, image, tags), cam.requires_grad_())


def test_a_cam_that_ends_where_colours_end_scores_lower():
    image = torch.full((1, 3, 16, 16), 0.1)
    image[..., 8:] = 0.9
    cam = torch.zeros(1, 1, 16, 16)
    cam[..., 8:] = 1.0
    loss = FeatureSimilarityLoss(sigma=2.0)
    tags = torch.tensor([[1]])
    aligned, shifted = (float(loss(values, image, tags)) for values in (cam, cam.roll(3, -1)))
    assert aligned < shifted


def test_absent_classes_get_no_gradient():
    cam, image, tags = case()
    cam.requires_grad_()
    FeatureSimilarityLoss(sigma=1.0)(cam, image, tags).backward()
    assert cam.grad[0, 0].any()
    assert cam.grad[1, 1].any()
    assert not cam.grad[0, 1].any()


def test_no_present_class_or_constant_cam_gives_zero():
    cam, image, _ = case()
    assert float(FeatureSimilarityLoss()(cam, image, torch.zeros(2, 3))) == pytest.approx(0, abs=1e-12)
    assert float(FeatureSimilarityLoss()(torch.ones(1, 1, 1, 1), image[:1], torch.ones(1, 1))) == 0  # one patch


def test_the_common_grid_follows_the_image():
    cam = torch.rand(1, 2, 15, 20)
    image = torch.rand(1, 3, 60, 80)
    on_grid = FeatureSimilarityLoss(stride=8)(cam, image, torch.ones(1, 2))
    small = torch.nn.functional.interpolate(cam, size=(8, 10), mode="bilinear", align_corners=False)
    area = torch.nn.functional.interpolate(image, size=(8, 10), mode="area")
    assert float(on_grid) == pytest.approx(float(FeatureSimilarityLoss()(small, area, torch.ones(1, 2))), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_it_computes_in_float32(dtype):
    cam, image, tags = (values.float() for values in case())
    full = FeatureSimilarityLoss()(cam.to(dtype).float(), image, tags)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = FeatureSimilarityLoss()(cam.to(dtype), image, tags)
    assert half.dtype == torch.float32
    assert float(half) == pytest.approx(float(full), abs=1e-6)


def test_wrong_shapes_and_names_are_named():
    cam, image, tags = case()
    with pytest.raises(ValueError, match="expected cam"):
        FeatureSimilarityLoss()(cam, image[:, :2], tags)
    with pytest.raises(ValueError, match="normalisation must be"):
        FeatureSimilarityLoss(normalisation="softmax")
