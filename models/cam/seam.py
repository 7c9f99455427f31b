"""SEAM: CAMs that are equivariant to scaling, refined by pixel correlation (Wang et al., CVPR 2020)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import build_backbone, num_features, require_stages
from models.cam.classifier import CamClassifier, CamOutput
from models.cam_normalisation import divide_by_maximum, with_background
from models.input_size import scaled
from models.losses.whole_batch import share_of_mean

MIDDLE, HIGH = 64, 128
"""Channels to which the two middle stages are reduced before their correlation, as published."""

HARDEST_SHARE = 0.2
"""Share of the values that the cross regularisation counts: those that differ most."""


def strongest_only(maps: Tensor) -> Tensor:
    """Set all channels of each position to 0, except the strongest one; (B, C, h, w) -> (B, C, h, w)."""
    return maps * (maps == maps.amax(dim=1, keepdim=True))


def pixel_correlation(cams: Tensor, features: Tensor) -> Tensor:
    """Mean of the CAMs at all positions for each position, weighted by ReLU of the cosine similarity of features.

    Parameters
    ----------
    cams : Tensor, (B, C, h, w)
    features : Tensor, (B, D, h, w)

    Returns
    -------
    Tensor, (B, C, h, w)
    """
    unit = F.normalize(features.flatten(2), dim=1)
    affinity = F.relu(unit.transpose(1, 2) @ unit)  # (B, h*w, h*w), symmetric
    affinity = affinity / affinity.sum(dim=1, keepdim=True).clamp(min=1e-5)
    return (cams.flatten(2) @ affinity).unflatten(2, (cams.shape[-2], cams.shape[-1]))


class SeamClassifier(CamClassifier):
    """Siamese classifier: the CAM of a smaller image should be the smaller CAM, before and after refinement.

    The pixel correlation module refines the strongest class of each position and the background. It uses the
    similarity of image colours and of features of the middle stages. Unlike in the published code, the gradient also
    reaches the CAM through this module, so losses on the refined CAM change what is extracted.

    Parameters
    ----------
    backbone : str
        timm name of a CNN.
    output_stride : {8, 16, 32}
        Input pixels per cell of the maps.
    num_classes : int
        Foreground classes K.
    shrink : float
        Size of the second image relative to the first.
    """

    def __init__(self, backbone: str, output_stride: int, num_classes: int, shrink: float = 0.3):
        super().__init__()
        network: Any = build_backbone(backbone, output_stride)
        require_stages(network, backbone)
        self.backbone = network
        self.shrink = shrink
        *_, middle, high = [info["num_chs"] for info in network.feature_info[:-1]]
        self.head = nn.Conv2d(num_features(network), num_classes, kernel_size=1, bias=False)
        self.middle = nn.Conv2d(middle, MIDDLE, kernel_size=1, bias=False)
        self.high = nn.Conv2d(high, HIGH, kernel_size=1, bias=False)
        self.correlate = nn.Conv2d(3 + MIDDLE + HIGH, 3 + MIDDLE + HIGH, kernel_size=1, bias=False)

    def forward(self, images: Tensor) -> CamOutput:
        network: Any = self.backbone
        final, stages = network.forward_intermediates(images)
        maps = self.head(final)
        size = maps.shape[-2:]
        middle, high = (
            F.relu(reduce(stage.detach())) for reduce, stage in zip((self.middle, self.high), stages[-3:-1])
        )
        parts = [F.interpolate(part, size, mode="bilinear", align_corners=False) for part in (images, middle, high)]
        before = strongest_only(with_background(divide_by_maximum(maps)))
        refined = pixel_correlation(before, self.correlate(torch.cat(parts, dim=1)))[:, 1:]
        return CamOutput(maps.mean(dim=(-2, -1)), maps, refined)

    def classification_losses(self, images: Tensor, tags: Tensor, output: CamOutput) -> dict[str, Tensor]:
        """Binary cross entropy of both images, equivariance and cross regularisation (eqs. 6 to 9 of the paper)."""
        small = self(scaled(images, self.shrink))
        size = small.maps.shape[-2:]
        present = tags[:, :, None, None]

        def shrunken(maps: Tensor) -> Tensor:
            return F.interpolate(maps, size, mode="bilinear", align_corners=False)

        cam_large = shrunken(divide_by_maximum(output.maps)) * present
        cam_small = divide_by_maximum(small.maps) * present
        refined_large, refined_small = shrunken(output.cams) * present, small.cams * present
        crossed = [
            (strongest_only(with_background(cam.detach())) - with_background(refined)).abs().flatten(1)
            for cam, refined in ((cam_small, refined_large), (cam_large, refined_small))
        ]
        count = max(1, int(HARDEST_SHARE * crossed[0].shape[1]))
        classified = [F.binary_cross_entropy_with_logits(scores, tags) for scores in (output.scores, small.scores)]
        hardest = [values.topk(count, dim=1).values.mean() for values in crossed]
        losses = {
            "classification": torch.stack(classified).mean(),
            "equivariance": (cam_large - cam_small).abs().mean(),
            "cross_regularisation": torch.stack(hardest).sum(),
        }
        return {name: share_of_mean(loss, len(tags)) for name, loss in losses.items()}
