from functools import partial

import pytest
import torch
from torch import nn

from models.backbones import (
    WITH_STAGES,
    build_backbone,
    build_transformer,
    check_backbone,
    dense_features,
    freeze_batch_norm,
    freeze_early_layers,
    is_vit,
    memory_format,
    normalisation,
    num_features,
    require_stages,
)
from models.cam.vit import build_vit
from models.features import build_key_extractor
from models.segmentation.superpixel_fcn import build_encoder


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "test_efficientnet"])
@pytest.mark.parametrize("stride", [8, 16])
def test_the_stride_is_the_requested_one(name, stride):
    backbone = build_backbone(name, stride).eval()
    with torch.no_grad():
        features = dense_features(backbone, torch.zeros(1, 3, 64, 96))
    assert features.shape == (1, backbone.num_features, 64 // stride, 96 // stride)


def test_the_features_of_a_convnext_are_normalised():
    torch.manual_seed(0)
    backbone, images = build_backbone("test_convnext", 16).eval(), torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        features = dense_features(backbone, images)
        assert torch.equal(features, backbone(images))  # timm's own forward pass, with its head
    assert features.shape == (2, backbone.num_features, 4, 6)
    assert features.mean(1).abs().max() < 1e-4


def test_depthwise_convolutions_keep_the_usual_order_on_a_gpu():
    plain, depthwise = (nn.Sequential(nn.Conv2d(4, 4, 3, groups=groups)) for groups in (1, 4))
    gpu, cpu = torch.device("cuda:0"), torch.device("cpu")
    assert memory_format(depthwise, gpu) == torch.contiguous_format
    assert {memory_format(plain, gpu), memory_format(plain, cpu), memory_format(depthwise, cpu)} == {
        torch.channels_last
    }


def test_unknown_names_get_the_nearest_ones():
    with pytest.raises(ValueError, match="timm has no backbone 'resnet5'; did you mean: resnet50"):
        check_backbone("resnet5")


def test_names_that_timm_has_renamed_are_refused_with_the_new_name():
    with pytest.raises(ValueError, match=r"'tf_efficientnet_b0_ns'; use 'tf_efficientnet_b0.ns_jft_in1k'"):
        check_backbone("tf_efficientnet_b0_ns")


@pytest.mark.parametrize(
    "build",
    [check_backbone, normalisation, build_encoder, partial(build_backbone, output_stride=16),
     partial(build_key_extractor, stride=16), partial(build_vit, output_stride=16)],
)  # fmt: skip
def test_unknown_tags_get_the_nearest_ones(build):
    with pytest.raises(ValueError, match="no weights 'a1_in1kx' of backbone 'resnet50'; did you mean: a1_in1k, a1h"):
        build("resnet50.a1_in1kx")


def test_a_tag_of_a_network_without_weights_is_left_out(monkeypatch):
    monkeypatch.setattr("timm.list_pretrained", lambda pattern: [])
    with pytest.raises(ValueError, match="no weights 'x' of backbone 'resnet50'; did you mean: the name without a tag"):
        check_backbone("resnet50.x")


def test_any_weights_tag_of_a_known_name_is_accepted():
    check_backbone("resnet50.a1_in1k")


def test_a_transformer_is_refused_where_a_map_is_needed():
    with pytest.raises(ValueError, match="choose a CNN"):
        dense_features(tiny_vit(), torch.zeros(1, 3, 32, 32))
    with pytest.raises(ValueError, match="choose a CNN"):
        build_backbone("vit_tiny_patch16_224", 16)


def tiny_vit():
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


@pytest.mark.parametrize(
    ("name", "last_frozen", "first_learning"),
    [("tf_efficientnet_lite0", "blocks.1.", "blocks.2."), ("resnet50", "layer1.", "layer2.")],
)
def test_early_layers_stay_and_later_ones_learn(name, last_frozen, first_learning):
    backbone = freeze_early_layers(build_backbone(name, 16).train(), stride=4)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    dense_features(backbone, torch.randn(2, 3, 64, 64)).square().mean().backward()
    learning = {key for key, parameter in backbone.named_parameters() if parameter.grad is not None}
    names = [key for key, _ in backbone.named_parameters()]
    cut = next(index for index, key in enumerate(names) if key in learning)
    assert names[cut - 1].startswith(last_frozen)
    assert names[cut].startswith(first_learning)
    assert learning == set(names[cut:])
    moved = {key for key, value in backbone.state_dict().items() if not torch.equal(value, before[key])}
    assert not any(key.startswith(last_frozen) for key in moved)  # nor do the running statistics
    assert any(key.startswith(first_learning) for key in moved)


def test_stride_0_freezes_nothing():
    backbone = freeze_early_layers(build_backbone("test_efficientnet", 16), stride=0)
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_which_names_are_transformers():
    assert is_vit("vit_base_patch8_224.dino")
    assert is_vit("deit_small_patch16_224")
    assert not is_vit("resnet50")


@pytest.mark.parametrize("needs_class_token", [True, False])
def test_transformers_of_another_kind_are_refused(needs_class_token):
    assert build_transformer("test_vit", needs_class_token).has_class_token
    with pytest.raises(ValueError, match="vit_small_patch16_18x2_224 have no single attention layer; choose another"):
        build_transformer("vit_small_patch16_18x2_224", needs_class_token)
    if needs_class_token:
        with pytest.raises(ValueError, match="test_vit2 has no class token, which is needed here; choose another"):
            build_transformer("test_vit2", needs_class_token)
    else:
        assert build_transformer("test_vit2", needs_class_token).num_prefix_tokens == 1


@pytest.mark.parametrize(("stride", "size"), [(32, 2), (16, 4), (8, 8)])
def test_vgg_takes_an_output_stride_by_dilation(stride, size):
    torch.manual_seed(0)
    network = build_backbone("vgg11", stride).eval()
    with torch.no_grad():
        features = dense_features(network, torch.randn(1, 3, 64, 64))
    assert features.shape == (1, num_features(network), size, size)


def test_a_dilated_vgg_sees_what_the_plain_one_sees():
    """On a constant image, far from the border, pooling and dilation have no effect."""
    torch.manual_seed(0)
    plain, dilated = build_backbone("vgg11", 32).eval(), build_backbone("vgg11", 8).eval()
    dilated.load_state_dict(plain.state_dict())
    with torch.no_grad():
        expected, found = (dense_features(n, torch.full((1, 3, 512, 512), 0.7)) for n in (plain, dilated))
    torch.testing.assert_close(found[..., 32, 32], expected[..., 8, 8], rtol=1e-3, atol=1e-4)


def test_a_release_of_timm_that_cannot_give_stages_is_named():
    with pytest.raises(ValueError, match=r"timm [\d.]+\w* cannot give the features of .* 'vgg11'.*; upgrade timm, or"):
        require_stages(nn.Identity(), "vgg11")
    for name in WITH_STAGES.split(" or "):
        require_stages(build_backbone(name, 32), name)


@pytest.mark.parametrize(("name", "stride"), [("vgg16", 2), ("vgg16", 4), ("vgg16_bn", 4), ("resnet18", 2)])
def test_early_layers_are_frozen_where_the_last_of_them_has_no_weights(name, stride):
    """timm names the pooling layers of a VGG, and the activation of a ResNet's stem."""
    with torch.device("meta"):
        network = build_backbone(name, 16)
    freeze_early_layers(network, stride)
    are_frozen = [not parameter.requires_grad for parameter in network.parameters()]
    assert are_frozen == sorted(are_frozen, reverse=True)
    assert 0 < sum(are_frozen) < len(are_frozen)
