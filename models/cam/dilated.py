"""CAM head with dilated blocks, which teach its standard block whole objects (S. Kim, SNU 2022, chapter 2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import build_backbone, dense_features, num_features
from models.cam.classifier import CamClassifier, CamOutput
from models.losses.whole_batch import share_of_mean

CAM_WEIGHT = 0.1
"""Weight of the CAM loss relative to the classification loss, as published."""


class DilatedClassifier(CamClassifier):
    """CNN with one standard block and D dilated blocks. Each block has its own class scores.

    Each block is a 3x3 convolution to K maps: M_0 of the standard block, M_i of the block with dilation r_i. The dense
    CAM M = max(M_0, mean_i M_i) covers more of an object than M_0. The CAM loss (2.2) makes M_0 similar to it. M_0 is
    extracted as CAM (2.4).

    Parameters
    ----------
    backbone : str
        timm name of a CNN.
    output_stride : {8, 16, 32}
        Input pixels per cell of the maps.
    num_classes : int
        Foreground classes K.
    rates : sequence of int
        Dilations of the blocks, in cells.
    """

    def __init__(self, backbone: str, output_stride: int, num_classes: int, rates: Sequence[int] = (3, 6, 9)):
        super().__init__()
        self.backbone = build_backbone(backbone, output_stride)
        self.blocks = nn.ModuleList(
            nn.Conv2d(num_features(self.backbone), num_classes, kernel_size=3, padding=rate, dilation=rate, bias=False)
            for rate in (1, *rates)
        )

    def forward(self, images: Tensor) -> CamOutput:
        features = dense_features(self.backbone, images)
        standard, *dilated = (block(features) for block in self.blocks)
        return CamOutput(
            standard.mean(dim=(-2, -1)),
            standard,
            F.relu(standard),
            further_scores=tuple(maps.mean(dim=(-2, -1)) for maps in dilated),
            further_maps=tuple(dilated),
        )

    def classification_losses(self, images: Tensor, tags: Tensor, output: CamOutput) -> dict[str, Tensor]:
        """Binary cross entropy of all blocks (2.1) and the weighted CAM loss (2.2)."""
        dense = dense_cam(output.maps, output.further_maps)
        losses = super().classification_losses(images, tags, output)
        return {**losses, "dense_cam": CAM_WEIGHT * cam_loss(dense, output.maps, tags)}


def dense_cam(standard: Tensor, dilated: Sequence[Tensor]) -> Tensor:
    """M = max(M_0, mean_i M_i); all (B, K, h, w)."""
    return torch.maximum(standard, torch.stack(list(dilated)).mean(0))


def cam_loss(dense: Tensor, standard: Tensor, tags: Tensor) -> Tensor:
    """l = 1/(|C| |S|) sum over positions S and present classes C of (ReLU(M) - ReLU(M_0))^2 (eq. 2.2).

    Parameters
    ----------
    dense, standard : Tensor, (B, K, h, w)
    tags : Tensor, (B, K), {0, 1}

    Returns
    -------
    Tensor, scalar
        Mean over the images. An image without a present class counts 0.

    Examples
    --------
    >>> import torch
    >>> standard, dense = torch.zeros(1, 2, 1, 2), torch.tensor([[[[2.0, 0.0]], [[9.0, 9.0]]]])
    >>> float(cam_loss(dense, standard, torch.tensor([[1.0, 0.0]])))
    2.0
    """
    squares = (F.relu(dense) - F.relu(standard)).square().mean(dim=(-2, -1)) * tags
    return share_of_mean((squares.sum(1) / tags.sum(1).clamp(min=1)).mean(), len(tags))
