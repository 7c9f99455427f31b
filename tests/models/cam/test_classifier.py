"""The contract of the CAM heads. Every head of the registry is tested; a new one needs no edit here."""

import pytest
import timm
import torch

from models.cam import HEADS, CamClassifier, build_classifier
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


def test_any_image_size_works(head):
    assert head.eval()(torch.randn(1, 3, 80, 64)).cams.shape == (1, 3, 5, 4)
    assert head.eval()(torch.randn(1, 3, 16, 16)).cams.shape == (1, 3, 1, 1)  # one patch


def test_it_learns_the_tags_of_two_images(head):
    images, tags = batch()
    optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
    first = last = 0.0
    for step in range(25):
        losses = head.classification_losses(images, tags, head(images))
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        last = float(losses["classification"].detach())
        first = first or last
        assert torch.isfinite(total), step
    assert last < 0.5 * first


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
