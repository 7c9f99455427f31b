"""FCN-16 whose scores are upsampled by learned superpixels, or bilinearly (de Jong, Holenderski, arXiv 2510.15756)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import check_backbone
from models.segmentation.multi_scale import averaged_probabilities
from models.segmentation.superpixel_pooling import assign, upsample

EMBEDDING = 16
"""Channels in which pixels and cells are compared."""

STRIDES = (2, 4, 8, 16, 32)
"""Of the encoder's stages."""

FIRST_TEMPERATURE = 0.1
"""Of the softmax over the cells, before learning (Suzuki, arXiv 2103.03435)."""


class FcnOutput(NamedTuple):
    """What the network gives for images (B, 3, H, W).

    Attributes
    ----------
    logits : Tensor, (B, C, H, W)
    steps : list of Tensor, (B, 9, H', W'), (B, 9, H'/2, W'/2), ...
        Assignments of the steps from the image to its superpixels of stride 16, the finest first; H' and
        W' are H and W rounded up to a multiple of 32. Empty with bilinear upsampling.
    """

    logits: Tensor
    steps: list[Tensor]


def build_encoder(name: str) -> nn.Module:
    """A timm CNN with stages of stride 2, 4, 8, 16 and 32.

    Raises
    ------
    ValueError
        If timm does not know it or its stages are others.
    """
    import timm

    check_backbone(name)
    encoder: Any = timm.create_model(name, num_classes=0, global_pool="")
    strides = [info["reduction"] for info in getattr(encoder, "feature_info", [])]
    if not set(STRIDES) <= set(strides) or not hasattr(encoder, "forward_intermediates"):
        raise ValueError(f"encoder '{name}' has stages of stride {strides}; strides {STRIDES} are needed")
    return encoder


class SuperpixelFcn(nn.Module):
    """Encoder, class scores at stride 32 and 16, and upsampling by factors of 2.

    At each step the four times as many finer positions attend to the 3x3 cells around them: Q is the
    softmax of the cosine similarity of their embeddings over a learned temperature, and the scores are
    upsampled by Q. The scores of stride 32 are brought to 16 and added to those there (FCN-16); the
    four steps from there to the image make each cell of 16 pixels a superpixel.

    Parameters
    ----------
    backbone : nn.Module
        As from `build_encoder`.
    num_classes : int
    upsampling : {"superpixel", "bilinear"}
    """

    def __init__(self, backbone: nn.Module, num_classes: int, upsampling: str = "superpixel"):
        super().__init__()
        self.backbone = backbone
        self.upsampling = upsampling
        described = cast(Any, backbone).feature_info
        info = {entry["reduction"]: (number, entry["num_chs"]) for number, entry in enumerate(described)}
        self.stages = [info[stride][0] for stride in STRIDES]
        channels = [info[stride][1] for stride in STRIDES]
        self.score_16, self.score_32 = (nn.Conv2d(count, num_classes, kernel_size=1) for count in channels[-2:])
        if upsampling == "superpixel":
            # One embedding a grid, compared across a step after a projection of the coarser one of its own.
            self.pixels = nn.Sequential(
                nn.Conv2d(3, EMBEDDING, 3, padding=1), nn.ReLU(), nn.Conv2d(EMBEDDING, EMBEDDING, 3, padding=1)
            )
            self.fine = nn.ModuleList(nn.Conv2d(count, EMBEDDING, kernel_size=1) for count in channels[:-1])
            self.coarse = nn.ModuleList(nn.Conv2d(count, EMBEDDING, kernel_size=1) for count in channels)
            self.log_temperature = nn.Parameter(torch.full((len(STRIDES),), FIRST_TEMPERATURE).log())

    @classmethod
    def build(cls, num_classes: int, backbone: str, upsampling: str) -> SuperpixelFcn:
        """The network of K foreground classes on a timm CNN, without weights."""
        return cls(build_encoder(backbone), num_classes + 1, upsampling)

    def pretrained_network(self) -> nn.Module:
        """The timm network that carries the pretrained weights."""
        return self.backbone

    @staticmethod
    def padded(images: Tensor) -> Tensor:
        """Images to whose size the assignments belong: the lower and right edge repeated up to a multiple of 32."""
        height, width = images.shape[-2:]
        padding = (0, -width % STRIDES[-1], 0, -height % STRIDES[-1])
        return F.pad(images, padding, mode="replicate") if any(padding) else images

    def forward(self, images: Tensor) -> FcnOutput:
        height, width = images.shape[-2:]
        padded = self.padded(images)
        network: Any = self.backbone
        features = network.forward_intermediates(padded, indices=self.stages, intermediates_only=True)
        scores = self.score_32(features[-1])
        if self.upsampling == "bilinear":
            scores = self.score_16(features[-2]) + _bilinear(scores, features[-2].shape[-2:])
            return FcnOutput(_bilinear(scores, padded.shape[-2:])[..., :height, :width], [])
        fine = [self.pixels(padded), *(project(values) for project, values in zip(self.fine, features))]
        coarse = [project(values) for project, values in zip(self.coarse, features)]
        steps = [
            assign(pixels, cells, temperature)
            for pixels, cells, temperature in zip(fine, coarse, self.log_temperature.exp(), strict=True)
        ]
        scores = self.score_16(features[-2]) + upsample(scores, steps[-1])
        for shares in reversed(steps[:-1]):
            scores = upsample(scores, shares)
        return FcnOutput(scores[..., :height, :width], steps[:-1])

    def predict(self, images: Tensor, scales: Sequence[float], flip: bool) -> Tensor:
        """Softmax probabilities (B, C, H, W), averaged over scales and mirror images."""
        return averaged_probabilities(lambda seen: self(seen).logits, images, scales, flip)

    def superpixels(self, images: Tensor) -> Tensor:
        """The superpixel of stride 16 that each pixel belongs to most, (B, H, W) int64."""
        return superpixels_of(self(images).steps)[:, : images.shape[-2], : images.shape[-1]]


def _bilinear(values: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(values, size=tuple(size), mode="bilinear", align_corners=False)


def superpixels_of(steps: Sequence[Tensor]) -> Tensor:
    """The superpixel that each pixel belongs to most, following the largest share from step to step.

    Parameters
    ----------
    steps : sequence of Tensor, (B, 9, H, W), (B, 9, H/2, W/2), ..., the finest first

    Returns
    -------
    Tensor, (B, H, W), int64: the number of the cell, row by row
    """
    batch, _, height, width = steps[-1].shape
    cells = torch.arange(height * width // 4, device=steps[-1].device).view(1, 1, height // 2, width // 2)
    numbers = cells.expand(batch, -1, -1, -1).double()  # exact, and one_hot shares pick one of them
    for shares in reversed(steps):
        one_hot = F.one_hot(shares.argmax(1), shares.shape[1]).permute(0, 3, 1, 2).double()
        numbers = upsample(numbers, one_hot)
    return numbers[:, 0].round().long()
