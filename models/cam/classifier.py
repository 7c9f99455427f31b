"""Image classifier whose class scores are averages of class activation maps."""

from __future__ import annotations

from torch import Tensor, nn

from models.backbones import dense_features, num_features


class CamClassifier(nn.Module):
    """CNN with a 1x1-convolution CAM head and global average pooling (Zhou et al., CVPR 2016).

    score_k = mean over positions of s_k, s = W * features; the CAM of class k is ReLU(s_k).

    Parameters
    ----------
    backbone : nn.Module
        As from `models.backbones.build_backbone`.
    num_classes : int
        Foreground classes K.
    """

    def __init__(self, backbone: nn.Module, num_classes: int):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Conv2d(num_features(backbone), num_classes, kernel_size=1, bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) -> class logits (B, K), activation maps before ReLU (B, K, h, w)."""
        maps = self.head(dense_features(self.backbone, images))
        return maps.mean(dim=(-2, -1)), maps
