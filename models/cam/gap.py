"""Image classifier whose class scores are means of class activation maps."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import build_backbone, dense_features, num_features
from models.cam.classifier import CamClassifier, CamOutput


class GapClassifier(CamClassifier):
    """CNN with a 1x1-convolution CAM head and global average pooling (Zhou et al., CVPR 2016).

    The maps are s = W * features. The score of class k is the mean of s_k over positions, and its CAM is ReLU(s_k).

    Parameters
    ----------
    backbone : str
        timm name of a CNN.
    output_stride : {8, 16, 32}
        Input pixels per cell of the maps.
    num_classes : int
        Foreground classes K.
    """

    def __init__(self, backbone: str, output_stride: int, num_classes: int):
        super().__init__()
        self.backbone = build_backbone(backbone, output_stride)
        self.head = nn.Conv2d(num_features(self.backbone), num_classes, kernel_size=1, bias=False)

    def forward(self, images: Tensor) -> CamOutput:
        maps = self.head(dense_features(self.backbone, images))
        return CamOutput(maps.mean(dim=(-2, -1)), maps, F.relu(maps))
