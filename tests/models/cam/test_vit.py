import pytest
import torch
from torch import nn

from models.cam import VitClassifier
from models.cam.vit import HYBRID


def small():
    torch.manual_seed(0)
    return VitClassifier("test_vit", 16, 3).eval()


def test_a_vit_by_name_and_a_hybrid_for_a_cnn():
    head = small()
    assert head.pretrained_network() is head.backbone
    hybrid = VitClassifier("test_efficientnet", 16, 3)
    assert len(hybrid.backbone.blocks) == HYBRID["depth"]
    assert hybrid.pretrained_network() is hybrid.backbone.patch_embed.backbone


def test_cams_are_means_of_maps_and_of_maps_refined_by_attention():
    """The whole head against plain loops over blocks, heads and tokens."""
    head, images = small(), torch.randn(1, 3, 64, 96)
    count, vit = head.num_classes, head.backbone
    tokens, (height, width) = head._tokens(images)
    to_patches, among_patches, x = [], [], vit.norm_pre(tokens)
    for block in vit.blocks:
        batch, length, dim = x.shape
        heads = block.attn.num_heads
        qkv = block.attn.qkv(block.norm1(x)).reshape(batch, length, 3, heads, dim // heads)
        for number in range(heads):
            query, key = block.attn.q_norm(qkv[0, :, 0, number]), block.attn.k_norm(qkv[0, :, 1, number])
            to_patches.append(((query @ key.T) * block.attn.scale).softmax(-1)[:count, count:])
            among_patches.append(((key[count:] @ key[count:].T) * block.attn.scale).softmax(-1))
        x = block(x)
    patches = vit.norm(x)[:, count:].transpose(1, 2).reshape(1, -1, height, width)
    maps = head.head(patches)
    fused = []
    for parts in (to_patches, among_patches):
        pooled = torch.stack([part.mean() * part.shape[-1] for part in parts])
        weights = head.fusion(pooled)
        fused.append(sum(weight * part for weight, part in zip(weights, parts)) / weights.sum())
    cells = height * width
    refined = torch.zeros(count, cells)
    for k in range(count):
        weighed = maps[0, k].flatten() * (cells * fused[0][k]).sqrt()
        for i in range(cells):
            refined[k, i] = sum(fused[1][i, j] * weighed[j] for j in range(cells))
    output = head(images)
    assert torch.allclose(output.maps, maps, atol=1e-5)
    expected = ((maps[0].flatten(1) + refined) / 2).clamp(min=0)
    assert expected.any()
    assert torch.allclose(output.cams[0].flatten(1), expected, atol=1e-5)
    token_scores = vit.norm(x)[:, :count] @ head.token_score.weight[0] + head.token_score.bias
    assert torch.allclose(output.further_scores[0], token_scores, atol=1e-5)
    assert torch.allclose(output.further_scores[1], refined.mean(1)[None], atol=1e-5)


def test_class_tokens_begin_at_the_pretrained_one():
    head = small()
    nn.init.zeros_(head.class_offsets)
    tokens, _ = head._tokens(torch.randn(1, 3, 32, 32))
    assert torch.equal(tokens[:, 0], tokens[:, 2])


def test_class_tokens_of_an_untrained_hybrid_tell_images_apart():
    torch.manual_seed(0)
    hybrid = VitClassifier("test_efficientnet", 16, 3).eval()
    with torch.no_grad():
        scores = hybrid(torch.randn(4, 3, 64, 64)).further_scores[0]
    assert scores.std(0).min() > 1e-4  # the mean over channels would be zero for all


def test_attention_that_is_exactly_zero_gives_no_infinite_gradient():
    head = small()
    with torch.no_grad():
        for block in head.backbone.blocks:
            block.attn.qkv.weight.mul_(1000)  # each token attends to a single one
    head(torch.randn(1, 3, 64, 64)).cams.sum().backward()
    assert all(p.grad.isfinite().all() for p in head.parameters() if p.grad is not None)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="timm has no backbone"):
        VitClassifier("deit_tiny_patch17", 16, 3)


def test_a_vit_takes_images_of_any_size():
    """Images at several scales are seldom multiples of the patches."""
    torch.manual_seed(0)
    head = VitClassifier("test_vit", 16, 3).eval()
    with torch.no_grad():
        output = head(torch.randn(1, 3, 90, 130))
    assert output.maps.shape == (1, 3, 6, 9)
