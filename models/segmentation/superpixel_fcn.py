"""FCN-16 with upsampling by learned superpixels, or bilinear (de Jong, Holenderski, arXiv 2510.15756)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import WITH_STAGES, check_backbone, require_stages
from models.segmentation.multi_scale import averaged_probabilities
from models.segmentation.superpixel_pooling import assign, upsample

EMBEDDING = 16
"""Channels of the embedding in which pixels and cells are compared."""

STRIDES = (2, 4, 8, 16, 32)
"""Strides of the stages of the encoder."""

INITIAL_TEMPERATURE = 0.1
"""Temperature of the softmax over the cells before training (Suzuki, arXiv 2103.03435)."""


class FcnOutput(NamedTuple):
    """Result of the network on images (B, 3, H, W).

    Attributes
    ----------
    logits : Tensor, (B, C, H, W)
    steps : list of Tensor, (B, 9, H', W'), (B, 9, H'/2, W'/2), ...
        Assignments from the image to its superpixels of stride 16, step by step, the finest first. H' and W' are H
        and W rounded up to a multiple of 32. Empty with bilinear upsampling.
    """

    logits: Tensor
    steps: list[Tensor]


def build_encoder(name: str) -> nn.Module:
    """A timm CNN with stages of stride 2, 4, 8, 16 and 32.

    Raises
    ------
    ValueError
        If timm does not know it, cannot give the features of its stages, or it has no stages of these strides.
    """
    check_backbone(name)
    encoder: Any = timm.create_model(name, num_classes=0, global_pool="")
    require_stages(encoder, name)
    strides = [info["reduction"] for info in getattr(encoder, "feature_info", [])]
    if not set(STRIDES) <= set(strides):
        raise ValueError(
            f"backbone '{name}' has stages of stride {strides}, strides {STRIDES} are needed; choose a CNN such as "
            f"{WITH_STAGES}"
        )
    return encoder


class SuperpixelFcn(nn.Module):
    """Encoder, class scores at strides 32 and 16, and upsampling by factors of 2.

    At each step every position of the finer grid attends to the 3x3 cells around it. Q is the softmax of the cosine
    similarity of their embeddings, divided by a learned temperature. The scores are upsampled by Q. The scores of
    stride 32 are upsampled to stride 16 and added to the scores there (FCN-16). After the four steps from there to the
    image, each cell of 16 x 16 pixels has become a superpixel.

    Parameters
    ----------
    backbone : nn.Module
        From `build_encoder`.
    num_classes : int
        K+1, background included.
    upsampling : {"superpixel", "bilinear"}
        How class scores reach the pixels.
    """

    def __init__(self, backbone: nn.Module, num_classes: int, upsampling: str = "superpixel"):
        super().__init__()
        self.backbone = backbone
        self.upsampling = upsampling
        described = cast(Any, backbone).feature_info
        info = {entry["reduction"]: (index, entry["num_chs"]) for index, entry in enumerate(described)}
        self.stages = [info[stride][0] for stride in STRIDES]
        channels = [info[stride][1] for stride in STRIDES]
        self.score_16, self.score_32 = (nn.Conv2d(count, num_classes, kernel_size=1) for count in channels[-2:])
        if upsampling == "superpixel":
            # Each grid has one embedding as the finer and one as the coarser side of a step.
            self.pixels = nn.Sequential(
                nn.Conv2d(3, EMBEDDING, 3, padding=1), nn.ReLU(), nn.Conv2d(EMBEDDING, EMBEDDING, 3, padding=1)
            )
            self.fine = nn.ModuleList(nn.Conv2d(count, EMBEDDING, kernel_size=1) for count in channels[:-1])
            self.coarse = nn.ModuleList(nn.Conv2d(count, EMBEDDING, kernel_size=1) for count in channels)
            self.log_temperature = nn.Parameter(torch.full((len(STRIDES),), INITIAL_TEMPERATURE).log())

    @classmethod
    def build(cls, num_classes: int, backbone: str, upsampling: str = "superpixel") -> SuperpixelFcn:
        """The network on a timm CNN, without pretrained weights.

        Parameters
        ----------
        num_classes : int
            Foreground classes K.
        backbone : str
            timm name.
        upsampling : {"superpixel", "bilinear"}

        Raises
        ------
        ValueError
            As of `build_encoder`.
        """
        return cls(build_encoder(backbone), num_classes + 1, upsampling)

    def pretrained_network(self) -> nn.Module:
        """The timm network that carries the pretrained weights."""
        return self.backbone

    @staticmethod
    def padded(images: Tensor) -> Tensor:
        """Images of the size of the assignments: the lower and right edges are repeated up to a multiple of 32."""
        height, width = images.shape[-2:]
        padding = (0, -width % STRIDES[-1], 0, -height % STRIDES[-1])
        # A trace holds for all sizes: those that need no padding are padded by nothing.
        return F.pad(images, padding, mode="replicate") if torch.jit.is_tracing() or any(padding) else images

    def forward(self, images: Tensor) -> FcnOutput:
        """Images (B, 3, H, W) -> class logits at their size and the assignments."""
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
        """The superpixel of stride 16 to which each pixel mainly belongs, (B, H, W), int64."""
        return superpixels_of(self(images).steps)[:, : images.shape[-2], : images.shape[-1]]


def _bilinear(values: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(values, size=tuple(size), mode="bilinear", align_corners=False)


def superpixels_of(steps: Sequence[Tensor]) -> Tensor:
    """The superpixel to which each pixel mainly belongs: the largest share at each step.

    Parameters
    ----------
    steps : sequence of Tensor, (B, 9, H, W), (B, 9, H/2, W/2), ..., the finest first

    Returns
    -------
    Tensor, (B, H, W), int64
        Number of the cell, row by row.
    """
    batch, _, height, width = steps[-1].shape
    cells = torch.arange(height * width // 4, device=steps[-1].device).view(1, 1, height // 2, width // 2)
    numbers = cells.expand(batch, -1, -1, -1).double()  # exact in float64; one-hot shares select one of them
    for shares in reversed(steps):
        one_hot = F.one_hot(shares.argmax(1), shares.shape[1]).permute(0, 3, 1, 2).double()
        numbers = upsample(numbers, one_hot)
    return numbers[:, 0].round().long()
