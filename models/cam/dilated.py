"""CAM head with dilated blocks, which teach its standard block whole objects (S. Kim, SNU 2022, chapter 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import build_backbone, dense_features, num_features
from models.cam.classifier import CamClassifier, CamOutput
from models.losses.whole_batch import share_of_mean

CAM_WEIGHT = 0.1
"""Weight of the CAM loss relative to the classification loss, as published."""


def convolutional_block(channels: int, num_classes: int, width: int, rate: int) -> nn.Sequential:
    """Two 3x3 convolutions (fc6, dilated, and fc7) and one 1x1 to the class maps (fc8), as section 2.4.1 has them.

    The weights begin normally distributed, as published. The paper leaves the deviations open: here they are those of
    He et al. (ICCV 2015), which keep the strength of the features, and 0.01 for the class maps.

    Parameters
    ----------
    channels : int
        Of the features that it reads, (B, C, h, w).
    num_classes : int
        Foreground classes K.
    width : int
        Outputs of fc6 and fc7.
    rate : int
        Dilation of fc6, in cells.
    """
    first = nn.Conv2d(channels, width, kernel_size=3, padding=rate, dilation=rate)
    second = nn.Conv2d(width, width, kernel_size=3, padding=1)
    to_classes = nn.Conv2d(width, num_classes, kernel_size=1, bias=False)
    for layer in (first, second):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(cast(Tensor, layer.bias))
    nn.init.normal_(to_classes.weight, std=0.01)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), to_classes)


class DilatedClassifier(CamClassifier):
    """CNN with one standard block and D dilated blocks. Each block has its own class scores.

    Each block is a `convolutional_block`: M_0 are the maps of the standard block, M_i those of the block with dilation
    r_i. The dense CAM M = max(M_0, mean_i M_i) covers more of an object than M_0. The CAM loss (2.2) makes M_0 similar
    to it. M_0 is extracted as CAM (2.4). A network in evaluation mode leaves out the dilated blocks, as published.

    Parameters
    ----------
    backbone : str
        timm name of a CNN.
    output_stride : {8, 16, 32}
        Input pixels per cell of the maps.
    num_classes : int
        Foreground classes K.
    block_rates : sequence of int
        Dilations of the D dilated blocks, in cells. Table 2.7 compares (3, 6), (3, 6, 9), (6, 12, 18, 24) and
        (3, 6, ..., 24).
    block_width : int
        Outputs of the 3x3 convolutions, 1024 as published.
    """

    def __init__(
        self,
        backbone: str,
        output_stride: int,
        num_classes: int,
        block_rates: Sequence[float] = (3, 6, 9),
        block_width: int = 1024,
    ):
        super().__init__()
        self.backbone = build_backbone(backbone, output_stride)
        channels = num_features(self.backbone)
        self.blocks = nn.ModuleList(
            convolutional_block(channels, num_classes, block_width, int(rate)) for rate in (1, *block_rates)
        )

    def forward(self, images: Tensor) -> CamOutput:
        features = dense_features(self.backbone, images)
        used = self.blocks if self.training else self.blocks[:1]
        standard, *dilated = (block(features) for block in used)
        return CamOutput(
            standard.mean(dim=(-2, -1)),
            standard,
            F.relu(standard),
            further_scores=tuple(maps.mean(dim=(-2, -1)) for maps in dilated),
            further_maps=tuple(dilated),
        )

    def classification_losses(self, images: Tensor, tags: Tensor, output: CamOutput) -> dict[str, Tensor]:
        """l_sig = 1/C sum over blocks i and foreground classes c of the cross entropy of z_ic (2.1), and the CAM loss.

        The first is a sum over the blocks, where other heads have a mean. The second is weighted (2.2, 2.3).
        """
        losses = super().classification_losses(images, tags, output)
        blocks = 1 + len(output.further_scores)
        dense = dense_cam(output.maps, output.further_maps)
        return {
            "classification": blocks * losses["classification"],
            "dense_cam": CAM_WEIGHT * cam_loss(dense, output.maps, tags),
        }


def dense_cam(standard: Tensor, dilated: Sequence[Tensor]) -> Tensor:
    """M = max(M_0, mean_i M_i); all (B, K, h, w)."""
    return torch.maximum(standard, torch.stack(list(dilated)).mean(0))


def cam_loss(dense: Tensor, standard: Tensor, tags: Tensor) -> Tensor:
    """l = 1/(C |S|) sum over positions S and present classes of (ReLU(M) - ReLU(M_0))^2 (eq. 2.2).

    C is the number of all foreground classes, not of those that are present.

    Parameters
    ----------
    dense, standard : Tensor, (B, K, h, w)
    tags : Tensor, (B, K), {0, 1}
        The present classes.

    Returns
    -------
    Tensor, scalar
        Mean over the images. An image without a present class counts 0.

    Examples
    --------
    >>> import torch
    >>> standard, dense = torch.zeros(1, 2, 1, 2), torch.tensor([[[[2.0, 0.0]], [[9.0, 9.0]]]])
    >>> float(cam_loss(dense, standard, torch.tensor([[1.0, 0.0]])))
    1.0
    """
    squares = (F.relu(dense) - F.relu(standard)).square().mean(dim=(-2, -1)) * tags
    return share_of_mean(squares.mean(), len(tags))
