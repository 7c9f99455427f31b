"""The contract of the segmentation networks. Every network of the registry is tested; a new one needs no edit here."""

import pytest
import timm
import torch

from models.segmentation import NETWORKS, build_segmenter

BACKBONE = "test_efficientnet"


@pytest.fixture(params=sorted(NETWORKS))
def network(request):
    torch.manual_seed(0)
    return build_segmenter(3, request.param, backbone=BACKBONE)


def logits_of(network, images):
    output = network(images)
    return getattr(output, "logits", output)


def test_logits_have_background_and_all_classes_and_train_the_whole_network(network):
    logits = logits_of(network.train(), torch.randn(2, 3, 64, 96))
    assert logits.shape[:2] == (2, 4)
    height, width = logits.shape[2:]
    assert 64 % height == 0
    assert 64 // height == 96 // width
    logits.square().mean().backward()
    own = [p for name, p in network.named_parameters() if not name.startswith("backbone.")]
    assert own
    assert all(p.grad is not None for p in own)
    assert any(p.grad is not None and p.grad.any() for p in network.backbone.parameters())


@pytest.mark.parametrize("size", [(64, 96), (50, 70)])
def test_predictions_are_probabilities_at_image_size(network, size):
    with torch.no_grad():
        probabilities = network.eval().predict(torch.randn(2, 3, *size), (1.0, 0.75), flip=True)
    assert probabilities.shape == (2, 4, *size)
    assert probabilities.min() >= 0
    assert torch.allclose(probabilities.sum(1), torch.ones(2, *size), atol=1e-5)


def test_the_pretrained_network_is_the_named_one(network):
    named = timm.create_model(BACKBONE, num_classes=0)
    assert set(named.state_dict()) <= set(network.pretrained_network().state_dict())


def test_unknown_names_are_refused(network):
    with pytest.raises(ValueError, match="timm has no backbone"):
        type(network).build(3, backbone="resnet5")
    with pytest.raises(ValueError, match="is unknown; did you mean: deeplab_aspp"):
        build_segmenter(3, "deeplab_asp", backbone=BACKBONE)
