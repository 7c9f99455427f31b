"""What every classifier with class activation maps gives: the seam between CAM heads and losses."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CamOutput(NamedTuple):
    """Result of a classifier on images (B, 3, H, W).

    Attributes
    ----------
    scores : Tensor, (B, K)
        Class logits.
    maps : Tensor, (B, K, h, w)
        Activation maps before ReLU, of which the scores are the mean.
    cams : Tensor, (B, K, h, w)
        What is extracted as CAM, not negative: the rectified maps, refined where the head refines them.
    further_scores : tuple of Tensor, (B, K)
        More class logits that learn from the tags, such as those of class tokens.
    further_maps : tuple of Tensor, (B, K, h, w)
        Maps of which the further scores are the mean, where they come from maps.
    """

    scores: Tensor
    maps: Tensor
    cams: Tensor
    further_scores: tuple[Tensor, ...] = ()
    further_maps: tuple[Tensor, ...] = ()


class CamClassifier(nn.Module):
    """Base of the CAM heads.

    A head is built from (backbone name, output stride, number of foreground classes), has an
    attribute `backbone`, which learns at the base learning rate, and maps images to a `CamOutput`.
    Losses on scores, maps or CAMs need to know no more of it.
    """

    backbone: nn.Module

    def pretrained_network(self) -> nn.Module:
        """The timm network that carries the pretrained weights of the backbone's name."""
        return self.backbone

    def forward(self, images: Tensor) -> CamOutput:
        raise NotImplementedError

    def classification_losses(self, images: Tensor, tags: Tensor, output: CamOutput) -> dict[str, Tensor]:
        """Terms that train the head itself, to be summed; ``classification`` is among them.

        Parameters
        ----------
        images : Tensor, (B, 3, H, W)
        tags : Tensor, (B, K), float in {0, 1}
        output : CamOutput of these images
        """
        scores = (output.scores, *output.further_scores)
        losses = [F.binary_cross_entropy_with_logits(logits, tags) for logits in scores]
        return {"classification": torch.stack(losses).mean()}
