import math

import pytest
import timm
import torch

from models.features import CnnFeatures, Colours, VitKeys, build_key_extractor, centre, round_up


def reference_keys(network, images):
    """Keys of the last block from the weights: norm, linear, the middle third; one token at a time."""
    tokens = []
    block = network.blocks[-1]
    handle = block.register_forward_pre_hook(lambda module, inputs: tokens.append(inputs[0]))
    network.forward_features(images)
    handle.remove()
    weight, bias = block.attn.qkv.weight, block.attn.qkv.bias
    dim = network.embed_dim
    rows = []
    for token in block.norm1(tokens[0])[0, network.num_prefix_tokens :]:
        rows.append(weight[dim : 2 * dim] @ token + bias[dim : 2 * dim])
    return torch.stack(rows)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit_tiny_patch16_224", "test_vit"])
def test_vit_keys_are_those_of_the_last_block(name):
    torch.manual_seed(0)
    extractor = VitKeys(name).eval()
    images = torch.randn(1, 3, 4 * extractor.patch, 3 * extractor.patch)
    with torch.no_grad():
        keys = extractor(images)
        expected = reference_keys(extractor.network, images)
    assert keys.shape == (1, 4, 3, extractor.dim)
    assert torch.allclose(keys.reshape(12, -1), expected, atol=1e-5)


def test_all_heads_are_kept_and_the_class_token_is_not():
    extractor = VitKeys("vit_tiny_patch16_224").eval()
    heads = extractor.network.blocks[-1].attn.num_heads
    assert extractor.dim == heads * (extractor.dim // heads) == 192
    with torch.no_grad():
        assert extractor(torch.zeros(1, 3, 32, 48)).shape[1:3] == (2, 3)


def test_images_are_resized_up_to_whole_patches():
    extractor = VitKeys("vit_tiny_patch16_224").eval()
    with torch.no_grad():
        assert extractor(torch.zeros(2, 3, 33, 17)).shape == (2, 3, 2, 192)
    assert extractor.grid((33, 17)) == (3, 2)


def test_the_paper_profiles_network_is_a_known_architecture():
    """DINO ViT-B/8 cannot be downloaded in tests: the same architecture, random weights."""
    assert "dino" in timm.list_pretrained("vit_base_patch8_224*")[0] or any(
        name.endswith(".dino") for name in timm.list_pretrained("vit_base_patch8_224*")
    )
    extractor = VitKeys("vit_base_patch8_224.dino").eval()
    assert (extractor.patch, extractor.dim) == (8, 768)
    with torch.no_grad():
        assert extractor(torch.zeros(1, 3, 24, 32)).shape == (1, 3, 4, 768)


def test_cnn_features_have_the_stated_grid():
    for stride in (8, 16):
        extractor = build_key_extractor("tf_efficientnet_lite0", stride).eval()
        assert isinstance(extractor, CnnFeatures)
        with torch.no_grad():
            features = extractor(torch.zeros(1, 3, 70, 90))
        assert features.shape == (1, *extractor.grid((70, 90)), extractor.dim)
        assert extractor.grid((70, 90)) == (math.ceil(70 / stride), math.ceil(90 / stride))


@pytest.mark.parametrize("name", ["test_vit", "vit_tiny_patch16_224.augreg_in21k", "deit_tiny_patch16_224"])
def test_a_vit_is_known_by_its_family(name):
    assert isinstance(build_key_extractor(name, 16), VitKeys)


def test_a_stride_that_no_stage_has_is_named():
    with pytest.raises(ValueError, match="has no stage of stride 5; choose one of"):
        CnnFeatures("tf_efficientnet_lite0", 5)


def test_centre_removes_the_images_mean():
    keys = torch.rand(2, 7, 3)
    assert torch.allclose(centre(keys).mean(1), torch.zeros(2, 3), atol=1e-6)
    assert round_up((16, 17), 8) == (16, 24)


def test_colours_are_means_of_cells():
    images = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    found = Colours(4)(images)
    assert found.shape == (2, *Colours(4).grid((8, 12)), 3) == (2, 2, 3, 3)
    for row in range(2):
        for column in range(3):
            cell = images[1, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            assert found[1, row, column].tolist() == pytest.approx([float(channel.mean()) for channel in cell])
    assert Colours(4)(images[..., :9]).shape == (2, 2, 3, 3)
