"""Interface of the classifiers with class activation maps, between CAM heads and losses."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.losses.whole_batch import share_of_mean


class CamOutput(NamedTuple):
    """Result of a classifier on images (B, 3, H, W).

    Attributes
    ----------
    scores : Tensor, (B, K)
        Class logits.
    maps : Tensor, (B, K, h, w)
        Activation maps before ReLU. Their means over positions are the scores.
    cams : Tensor, (B, K, h, w)
        What is extracted as CAM, >= 0: the rectified maps, refined if the head refines them.
    further_scores : tuple of Tensor, (B, K)
        More class logits that are trained with the tags, such as those of class tokens.
    further_maps : tuple of Tensor, (B, K, h, w)
        Maps whose means are further scores, where these come from maps.
    """

    scores: Tensor
    maps: Tensor
    cams: Tensor
    further_scores: tuple[Tensor, ...] = ()
    further_maps: tuple[Tensor, ...] = ()


class CamClassifier(nn.Module):
    """Base of the CAM heads.

    A head is built from (backbone name, output stride, number of foreground classes) and maps images to a
    `CamOutput`. Its attribute `backbone` is trained with the base learning rate. Losses on scores, maps or CAMs need
    nothing else of it.
    """

    backbone: nn.Module

    def pretrained_network(self) -> nn.Module:
        """The timm network that carries the pretrained weights of this backbone name."""
        return self.backbone

    def forward(self, images: Tensor) -> CamOutput:
        """Normalised images (B, 3, H, W) -> scores and maps."""
        raise NotImplementedError

    def classification_losses(self, images: Tensor, tags: Tensor, output: CamOutput) -> dict[str, Tensor]:
        """Terms that train the head itself. Their sum is the loss; one of them is ``classification``.

        Parameters
        ----------
        images : Tensor, (B, 3, H, W)
        tags : Tensor, (B, K), float in {0, 1}
        output : CamOutput
            Of these images.

        Returns
        -------
        dict of name -> Tensor, scalar
        """
        scores = (output.scores, *output.further_scores)
        losses = [F.binary_cross_entropy_with_logits(logits, tags) for logits in scores]
        return {"classification": share_of_mean(torch.stack(losses).mean(), len(tags))}
