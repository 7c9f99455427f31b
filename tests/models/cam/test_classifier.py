"""The contract of the CAM heads. Every head of the registry is tested; a new one needs no edit here."""

import math

import pytest
import timm
import torch

from models.cam import HEADS, CamClassifier, CamOutput, build_classifier
from models.losses import MAP_LOSSES

BACKBONE = "test_efficientnet"


@pytest.fixture(params=sorted(HEADS))
def head(request):
    torch.manual_seed(0)
    return build_classifier(3, request.param, BACKBONE, 16)


def batch():
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(2, 3, 64, 96, generator=generator)
    return images, torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])


def test_shapes_and_range(head):
    assert isinstance(head, CamClassifier)
    output = head.eval()(batch()[0])
    assert output.scores.shape == (2, 3)
    assert output.maps.shape == output.cams.shape == (2, 3, 4, 6)
    assert output.cams.min() >= 0
    assert torch.allclose(output.scores, output.maps.mean((2, 3)), atol=1e-6)


def cross_entropy(scores, tags):
    """Eqs. 1.1 and 3.2 of S. Kim, SNU 2022, for one image: 1/C sum_c -t_c log s(z_c) - (1 - t_c) log(1 - s(z_c))."""
    total = 0.0
    for score, tag in zip(scores.tolist(), tags.tolist(), strict=True):
        probability = 1 / (1 + math.exp(-score))
        total += -tag * math.log(probability) - (1 - tag) * math.log(1 - probability)
    return total / len(scores)


def test_the_classification_loss_equals_the_loops():
    """The mean over the images; a head with two kinds of scores takes the mean of their losses."""
    torch.manual_seed(0)
    first, second = torch.randn(2, 4, 5)
    tags = torch.tensor([[1.0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 0, 0, 0]])
    maps = torch.zeros(4, 5, 1, 1)

    def found(*further):
        output = CamOutput(first, maps, maps, further)
        return float(CamClassifier().classification_losses(torch.zeros(4, 3, 8, 8), tags, output)["classification"])

    alone, other = (
        sum(cross_entropy(z, t) for z, t in zip(scores, tags, strict=True)) / 4 for scores in (first, second)
    )
    assert found() == pytest.approx(alone, rel=1e-5)
    assert found(second) == pytest.approx((alone + other) / 2, rel=1e-5)


def test_any_image_size_works(head):
    assert head.eval()(torch.randn(1, 3, 80, 64)).cams.shape == (1, 3, 5, 4)
    assert head.eval()(torch.randn(1, 3, 16, 16)).cams.shape == (1, 3, 1, 1)  # one patch


def test_it_learns_the_tags_of_two_images(head):
    images, tags = batch()
    optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
    first = 0.0
    for step in range(25):
        losses = head.classification_losses(images, tags, head(images))
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        last = float(losses["classification"].detach())
        first = first or last
        assert torch.isfinite(total), step
        if last < 0.5 * first:
            return
    pytest.fail(f"the loss went from {first} to {last} only")


@pytest.mark.parametrize("name", sorted(MAP_LOSSES))
def test_every_loss_on_maps_reaches_the_backbone(head, name, map_loss_batch):
    images, _ = batch()
    output, described = head(images), MAP_LOSSES[name]
    given = {**map_loss_batch, "maps": output.maps, "cams": output.cams}
    loss = described.build(**{key: setting.default for key, setting in described.settings.items()})
    loss(*(given[key] for key in described.inputs)).backward()
    gradient = sum(p.grad.abs().sum() for p in head.backbone.parameters() if p.grad is not None)
    assert 0 < gradient < torch.inf


def test_the_pretrained_network_is_the_named_one(head):
    named = timm.create_model(BACKBONE, num_classes=0)
    assert set(named.state_dict()) <= set(head.pretrained_network().state_dict())
