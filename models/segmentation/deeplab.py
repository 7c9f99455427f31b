"""DeepLab with atrous spatial pyramid pooling (Chen et al., TPAMI 2018: DeepLab-ASPP, "v2")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from models.backbones import build_backbone, dense_features, num_features
from models.segmentation.multi_scale import averaged_probabilities


class DeepLabAspp(nn.Module):
    """timm CNN with parallel dilated 3x3 convolutions, whose class scores are summed.

    Parameters
    ----------
    backbone : nn.Module
        From `models.backbones.build_backbone`. The paper has stride 8; stride 16 costs a quarter.
    num_classes : int
        K+1, background included.
    rates : sequence of int
        Dilation of each branch, in feature cells. The paper has (6, 12, 18, 24) at stride 8.
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
    def build(
        cls, num_classes: int, backbone: str, output_stride: int = 16, rates: Sequence[float] = (6, 12, 18, 24)
    ) -> DeepLabAspp:
        """The network on a timm CNN, without pretrained weights.

        Parameters
        ----------
        num_classes : int
            Foreground classes K.
        backbone : str
            timm name.
        output_stride : {8, 16, 32}
        rates : sequence of numbers
            Dilation of each branch, in feature cells, converted to integers.

        Raises
        ------
        ValueError
            If timm does not know the backbone or it cannot have this stride.
        """
        return cls(build_backbone(backbone, output_stride), num_classes + 1, [int(rate) for rate in rates])

    def pretrained_network(self) -> nn.Module:
        """The timm network that carries the pretrained weights."""
        return self.backbone

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> class logits (B, K+1, h, w) at the stride of the backbone."""
        features = dense_features(self.backbone, images)
        return sum(branch(features) for branch in self.branches)

    def predict(self, images: Tensor, scales: Sequence[float], flip: bool) -> Tensor:
        """Softmax probabilities (B, K+1, H, W), averaged over scales and mirror images."""
        return averaged_probabilities(self, images, scales, flip)
