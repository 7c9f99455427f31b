"""Patch features for superpixel discovery: keys of the last attention block of a ViT, or a stage of a CNN."""

from __future__ import annotations

from typing import Any

import timm
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import build_transformer, check_backbone, is_vit
from models.hooks import of_this_thread


def round_up(size: tuple[int, int], multiple: int) -> tuple[int, int]:
    """Height and width, rounded up to a multiple of the patch size.

    Examples
    --------
    >>> round_up((33, 48), 16)
    (48, 48)
    """
    height, width = (-(-side // multiple) * multiple for side in size)
    return height, width


def resized_up(images: Tensor, patch: int) -> Tensor:
    """Images (B, 3, H, W), resized up to whole patches of so many pixels (bicubic), as a ViT needs them."""
    size = round_up((images.shape[-2], images.shape[-1]), patch)
    if size == tuple(images.shape[-2:]):
        return images
    return F.interpolate(images, size=size, mode="bicubic", align_corners=False)


class PatchFeatures(nn.Module):
    """Base of the extractors: one vector of `dim` numbers per square of `patch` x `patch` pixels."""

    network: Any
    patch: int
    dim: int

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Patch rows and columns of an image of `size` (H, W)."""
        height, width = round_up(size, self.patch)
        return height // self.patch, width // self.patch


class VitKeys(PatchFeatures):
    """Keys of the last self-attention block: all heads concatenated, without class and register tokens.

    Parameters
    ----------
    name : str
        timm ViT, e.g. ``vit_base_patch8_224.dino``. Any image size works: the position embedding is resized.

    Raises
    ------
    ValueError
        As `check_backbone` and `build_transformer`.
    """

    def __init__(self, name: str):
        super().__init__()
        check_backbone(name)
        network = build_transformer(name)
        self.network = network
        self.patch = network.patch_embed.patch_size[0]
        self.dim = network.embed_dim

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W), resized up to whole patches -> keys (B, rows, columns, dim)."""
        images = resized_up(images, self.patch)
        attention = self.network.blocks[-1].attn
        caught: list[Tensor] = []
        hook = attention.qkv.register_forward_hook(of_this_thread(lambda module, inputs, output: caught.append(output)))
        try:
            self.network.forward_features(images)
        finally:
            hook.remove()
        queries_keys_values = caught[0]  # (B, prefix + rows * columns, 3 * dim)
        keys = queries_keys_values.chunk(3, dim=-1)[1][:, self.network.num_prefix_tokens :]
        return keys.reshape(len(images), *self.grid((images.shape[-2], images.shape[-1])), self.dim)


class CnnFeatures(PatchFeatures):
    """Features of one stage of a CNN.

    Parameters
    ----------
    name : str
        timm CNN.
    stride : int
        Input pixels per feature cell. The deepest stage of this stride is used.

    Raises
    ------
    ValueError
        If timm does not know the name or no stage has this stride.
    """

    def __init__(self, name: str, stride: int):
        super().__init__()
        check_backbone(name)
        whole: Any = timm.create_model(name, features_only=True)
        strides = whole.feature_info.reduction()
        if stride not in strides:
            raise ValueError(f"backbone '{name}' has no stage of stride {stride}; choose one of {strides}")
        stage = max(index for index, value in enumerate(strides) if value == stride)
        network: Any = timm.create_model(name, features_only=True, out_indices=(stage,))
        self.network = network
        self.patch = stride
        self.dim = network.feature_info.channels()[0]

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W), resized up to whole cells -> features (B, rows, columns, dim)."""
        images = resized_up(images, self.patch)
        return self.network(images)[0].permute(0, 2, 3, 1)


class Colours(PatchFeatures):
    """The mean colour of each cell, the simplest feature of figure 3.10 of S. Kim, SNU 2022.

    Parameters
    ----------
    stride : int
        Pixels per cell.
    """

    def __init__(self, stride: int):
        super().__init__()
        self.network, self.patch, self.dim = nn.Identity(), stride, 3

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W), resized up to whole cells -> mean colours (B, rows, columns, 3)."""
        return F.avg_pool2d(resized_up(images, self.patch), self.patch).permute(0, 2, 3, 1)


def build_key_extractor(name: str, stride: int) -> PatchFeatures:
    """`VitKeys` for a timm ViT, `CnnFeatures` at `stride` for any other name; without pretrained weights."""
    check_backbone(name)
    return VitKeys(name) if is_vit(name) else CnnFeatures(name, stride)


def centre(keys: Tensor) -> Tensor:
    """Subtract the mean over the image from keys (B, N, D).

    CNN features are positive after their activation, so all their cosine similarities are positive, too. Only the
    deviation from the mean of the image separates its parts. ViT keys need no centring.

    Examples
    --------
    >>> import torch
    >>> centre(torch.tensor([[[1.0, 4.0], [3.0, 4.0]]])).tolist()
    [[[-1.0, 0.0], [1.0, 0.0]]]
    """
    return keys - keys.mean(dim=1, keepdim=True)
