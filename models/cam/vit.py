"""CAMs of a vision transformer, refined by its attention (similar to MCTformer and WeakTr)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import HybridEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from models.backbones import build_backbone, build_transformer, check_backbone, is_vit
from models.cam.classifier import CamClassifier, CamOutput
from models.features import resized_up
from models.hooks import of_this_thread

HYBRID: dict[str, Any] = {"embed_dim": 192, "depth": 2, "num_heads": 3, "init_values": 0.1}
"""Transformer on the features of a CNN: a DeiT-Tiny of two blocks. LayerScale starts them near the identity, since
untrained attention would mix the whole image into every token."""


def build_vit(name: str, output_stride: int) -> Any:
    """A timm ViT by name; for the name of a CNN a hybrid, whose tokens are the feature cells of the CNN.

    The hybrid (Dosovitskiy et al., 2021, section 3.1) learns from few images if only the CNN has pretrained weights.

    Raises
    ------
    ValueError
        If timm does not know the name, the CNN cannot have this stride, or the ViT cannot be used
        (`build_transformer`).
    """
    check_backbone(name)
    if is_vit(name):
        return build_transformer(name, needs_class_token=True)
    embed = partial(HybridEmbed, backbone=build_backbone(name, output_stride))
    return VisionTransformer(embed_layer=embed, patch_size=1, num_classes=0, dynamic_img_size=True, **HYBRID)


class VitClassifier(CamClassifier):
    """Transformer with one class token per class. Patch tokens give maps, and attention refines them.

    The coarse map of class k is a convolution of the patch tokens. The refined map is the coarse map times the square
    root of the attention of class token k to the patches, then propagated among patches (MCTformer, Xu et al., CVPR
    2022, and its successor MCTformer+). The CAM is the mean of both maps: with the refined map alone, a loss on its
    edges reduces it to a few bright cells. Both maps and the class tokens give scores (WeakTr, Zhu et al., 2023).

    The attention among patches is computed from their keys, softmax(K K^T / sqrt(d)). Attention from query to key
    connects different things and can invert a map (Li et al., arXiv 2304.05653). Both attentions are weighted means
    over all blocks and heads. A small network finds the weights from the attention maps (adaptive attention fusion of
    WeakTr). For the attention among patches these weights are learned constants, since each of its rows sums to 1. The
    score of class token k is its product with a learned direction, which is the same for all classes.

    Parameters
    ----------
    backbone : str
        timm name of a ViT or DeiT, or of a CNN (see `build_vit`).
    output_stride : {8, 16, 32}
        Stride of the CNN. A ViT has the stride of its patch size.
    num_classes : int
        Foreground classes K.
    """

    def __init__(self, backbone: str, output_stride: int, num_classes: int):
        super().__init__()
        vit: Any = build_vit(backbone, output_stride)
        self.backbone = vit
        self.num_classes = num_classes
        for block in vit.blocks:
            block.attn.fused_attn = False  # the fused kernel does not return the attention
        heads = len(vit.blocks) * vit.blocks[0].attn.num_heads
        self.class_offsets = nn.Parameter(0.02 * torch.randn(1, num_classes, vit.embed_dim))
        self.head = nn.Conv2d(vit.embed_dim, num_classes, kernel_size=3, padding=1)
        # MCTformer takes the mean over channels. After an untrained layer norm it is zero, so nothing could be learned.
        self.token_score = nn.Linear(vit.embed_dim, 1)
        self.fusion = nn.Sequential(nn.Linear(heads, heads), nn.ReLU(), nn.Linear(heads, heads), nn.Sigmoid())

    def pretrained_network(self) -> nn.Module:
        vit: Any = self.backbone
        return vit.patch_embed.backbone if isinstance(vit.patch_embed, HybridEmbed) else vit

    def forward(self, images: Tensor) -> CamOutput:
        vit: Any = self.backbone
        tokens, (height, width) = self._tokens(resized_up(images, vit.patch_embed.patch_size[0]))
        tokens, to_patches, among_patches = self._attended(vit.norm_pre(tokens))
        classes, patches = vit.norm(tokens).split([self.num_classes, height * width], dim=1)
        maps = self.head(patches.transpose(1, 2).unflatten(2, (height, width)))
        # Times the number of patches: uniform attention changes nothing. The clamp is there since the derivative of the
        # square root is infinite at 0.
        weighted = maps.flatten(2) * (height * width * to_patches).clamp(min=1e-6).sqrt()
        refined = (weighted @ among_patches.transpose(1, 2)).unflatten(2, (height, width))
        further_scores = (self.token_score(classes)[..., 0], refined.mean(dim=(-2, -1)))
        return CamOutput(maps.mean(dim=(-2, -1)), maps, F.relu((maps + refined) / 2), further_scores)

    def _tokens(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Class tokens and patch tokens with position embedding, (B, K + h*w, D), and (h, w)."""
        vit: Any = self.backbone
        patches = vit.patch_embed(images)  # (B, h, w, D)
        embedded = vit._pos_embed(patches)  # one class token first, then register tokens if any
        tokens = torch.cat([embedded[:, :1] + self.class_offsets, embedded[:, vit.num_prefix_tokens :]], dim=1)
        return tokens, (patches.shape[1], patches.shape[2])

    def _attended(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens after all blocks, attention of class tokens to patches (B, K, N) and among patches (B, N, N)."""
        vit: Any = self.backbone
        count = self.num_classes
        to_patches: list[Tensor] = []  # each (B, heads, K, N)
        among_patches: list[Tensor] = []  # each (B, heads, N, N)

        def keep_attention(module, inputs, attention):
            to_patches.append(attention[:, :, :count, count:])

        def keep_similarity(module, inputs, keys):
            keys = keys[:, :, count:]
            among_patches.append((keys @ keys.transpose(-1, -2) * keys.shape[-1] ** -0.5).softmax(-1))

        hooks = [block.attn.attn_drop.register_forward_hook(of_this_thread(keep_attention)) for block in vit.blocks]
        hooks += [block.attn.k_norm.register_forward_hook(of_this_thread(keep_similarity)) for block in vit.blocks]
        try:
            tokens = vit.blocks(tokens)
        finally:
            for hook in hooks:
                hook.remove()
        return tokens, self._fused(to_patches), self._fused(among_patches)

    def _fused(self, attentions: list[Tensor]) -> Tensor:
        """Attentions (B, heads, M, N) of the blocks -> their weighted mean (B, M, N)."""
        attention = torch.cat(attentions, dim=1)
        weights = self.fusion(attention.mean(dim=(-2, -1)) * attention.shape[-1])  # uniform attention has mean 1
        weights = weights / weights.sum(dim=1, keepdim=True)
        return (attention * weights[..., None, None]).sum(1)
