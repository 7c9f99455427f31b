import math

import pytest
import torch

from models.cam import SeamClassifier
from models.cam.seam import pixel_correlation, strongest_only
from models.cam_normalisation import with_background
from models.losses import MAP_LOSSES


def test_pixel_correlation_equals_the_loops():
    generator = torch.Generator().manual_seed(0)
    cams = torch.rand(2, 3, 2, 3, generator=generator, dtype=torch.float64)
    features = torch.randn(2, 4, 2, 3, generator=generator, dtype=torch.float64)
    found = pixel_correlation(cams, features)
    for b in range(2):
        flat, vectors = cams[b].flatten(1), features[b].flatten(1)
        for i in range(6):
            weights = []
            for j in range(6):
                dot = sum(float(vectors[d, i]) * float(vectors[d, j]) for d in range(4))
                weights.append(max(dot / (math.hypot(*vectors[:, i]) * math.hypot(*vectors[:, j])), 0.0))
            for c in range(3):
                expected = sum(w * float(flat[c, j]) for j, w in enumerate(weights)) / sum(weights)
                assert float(found[b, c].flatten()[i]) == pytest.approx(expected, rel=1e-9)


def test_background_and_strongest():
    maps = with_background(torch.tensor([[[[0.2]], [[0.7]]]]))
    assert maps.flatten().tolist() == pytest.approx([0.3, 0.2, 0.7])
    assert strongest_only(maps).flatten().tolist() == pytest.approx([0.0, 0.0, 0.7])


def test_equivariance_is_zero_for_constant_maps():
    torch.manual_seed(0)
    head = SeamClassifier("test_efficientnet", 16, 2).eval()
    torch.nn.init.zeros_(head.head.weight)
    images, tags = torch.randn(1, 3, 64, 64), torch.tensor([[1.0, 0.0]])
    losses = head.classification_losses(images, tags, head(images))
    assert float(losses["equivariance"].detach()) == 0
    assert float(losses["classification"].detach()) == pytest.approx(math.log(2))


def test_present_classes_alone_count():
    torch.manual_seed(0)
    head = SeamClassifier("test_efficientnet", 16, 2).eval()
    images = torch.randn(1, 3, 64, 64)
    losses = head.classification_losses(images, torch.zeros(1, 2), head(images))
    assert float(losses["equivariance"].detach()) == 0


def test_deal_trains_the_maps_and_not_the_pixel_correlation():
    """Pixel correlation can become uniform. Then every refined map is constant, which pleases DEAL whatever the maps
    are."""
    torch.manual_seed(0)
    head = SeamClassifier("test_efficientnet", 16, 2)
    output = head(torch.randn(2, 3, 64, 64))
    described = MAP_LOSSES["deal"]
    depth = torch.ones(2, 1, 64, 64)
    depth[..., 20:44, 20:44] = 0.5
    given = {"maps": output.maps, "cams": output.cams, "depth": depth, "tags": torch.ones(2, 2), "valid": depth > 0}
    described.build()(*(given[name] for name in described.inputs)).backward()
    assert head.head.weight.grad.any()
    assert all(part.weight.grad is None for part in (head.correlate, head.middle, head.high))
