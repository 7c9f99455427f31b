"""DeepLab with an atrous spatial pyramid head (Chen et al., TPAMI 2018: DeepLab-ASPP, "v2")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from models.backbones import build_backbone, dense_features, num_features
from models.segmentation.multi_scale import averaged_probabilities


class DeepLabAspp(nn.Module):
    """timm CNN followed by parallel dilated 3x3 convolutions whose class scores are summed.

    Parameters
    ----------
    backbone : nn.Module
        As from `models.backbones.build_backbone`; stride 8 in the paper, 16 is four times cheaper.
    num_classes : int
        K+1, background included.
    rates : sequence of int
        Dilation of each branch, in feature cells; (6, 12, 18, 24) at stride 8 in the paper.
    """

    def __init__(self, backbone: nn.Module, num_classes: int, rates: Sequence[int] = (6, 12, 18, 24)):
        super().__init__()
        self.backbone = backbone
        branches = [
            nn.Conv2d(num_features(backbone), num_classes, kernel_size=3, padding=rate, dilation=rate) for rate in rates
        ]
        for branch in branches:
            nn.init.normal_(branch.weight, std=0.01)
            nn.init.zeros_(cast(Tensor, branch.bias))
        self.branches = nn.ModuleList(branches)

    @classmethod
    def build(cls, num_classes: int, backbone: str, output_stride: int, rates: Sequence[float]) -> DeepLabAspp:
        """The network of K foreground classes on a timm CNN, without weights."""
        return cls(build_backbone(backbone, output_stride), num_classes + 1, [int(rate) for rate in rates])

    def pretrained_network(self) -> nn.Module:
        """The timm network that carries the pretrained weights."""
        return self.backbone

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> class logits (B, K+1, h, w) at the backbone's stride."""
        features = dense_features(self.backbone, images)
        return sum(branch(features) for branch in self.branches)

    def predict(self, images: Tensor, scales: Sequence[float], flip: bool) -> Tensor:
        """Softmax probabilities (B, K+1, H, W), averaged over scales and mirror images."""
        return averaged_probabilities(self, images, scales, flip)
