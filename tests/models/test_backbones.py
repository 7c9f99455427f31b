import pytest
import torch
from torch import nn

from models.backbones import build_backbone, check_backbone, dense_features, freeze_batch_norm, normalisation


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "test_efficientnet"])
@pytest.mark.parametrize("stride", [8, 16])
def test_the_stride_is_the_one_asked_for(name, stride):
    backbone = build_backbone(name, stride).eval()
    with torch.no_grad():
        features = dense_features(backbone, torch.zeros(1, 3, 64, 96))
    assert features.shape == (1, backbone.num_features, 64 // stride, 96 // stride)


def test_unknown_names_get_the_nearest_ones():
    with pytest.raises(ValueError, match="timm has no backbone 'resnet5'; did you mean: resnet50"):
        check_backbone("resnet5")


def test_a_transformer_is_refused_where_a_map_is_needed():
    with pytest.raises(ValueError, match="choose a CNN"):
        dense_features(build_vit(), torch.zeros(1, 3, 32, 32))
    with pytest.raises(ValueError, match="choose a CNN"):
        build_backbone("vit_tiny_patch16_224", 16)


def build_vit():
    import timm

    return timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=0)


def test_frozen_batch_norm_keeps_statistics_and_scale():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    freeze_batch_norm(network)
    before = network[1].running_mean.clone()
    network(torch.randn(2, 3, 5, 5)).sum().backward()
    assert torch.equal(network[1].running_mean, before)
    assert network[1].weight.grad is None
    assert network[0].weight.grad is not None


def test_normalisation_of_known_weights():
    assert normalisation("tf_efficientnet_lite0") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert normalisation("resnet50")[0] == pytest.approx((0.485, 0.456, 0.406))
