"""Extraction of CAMs over several scales and mirror images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from models.cam.classifier import CamClassifier
from models.input_size import limited_scale, scaled


def extract_cams(
    classifier: CamClassifier,
    images: Tensor,
    tags: Tensor,
    size: tuple[int, int],
    scales: Sequence[float],
    flip: bool,
    fusion: str = "mean",
) -> Tensor:
    """Normalised CAMs of the present classes (eqs. 3.2, 3.3): M_c = CAM_c / max CAM_c; 0 for absent classes.

    The CAMs of the head are averaged over scales and mirror images before they are normalised. Image masking
    (eqs. 2.4, 2.5) takes their maximum instead.

    Parameters
    ----------
    classifier : CamClassifier
    images : Tensor, (B, 3, H, W), normalised as the backbone expects
    tags : Tensor, (B, K), {0, 1}
    size : (height, width) of the result
    scales : sequence of float
        Sizes of the image relative to its own, limited by `models.input_size.limited_scale`.
    flip : bool
        Use the mirror image at every scale, too.
    fusion : {"mean", "max"}
        How scales and mirror images are combined.

    Returns
    -------
    Tensor, (B, K, height, width), float32 in [0, 1]
        0 everywhere for a class whose score is nowhere positive.
    """
    total = images.new_zeros(len(images), tags.shape[1], *size)
    fuse = torch.maximum if fusion == "max" else torch.add
    for wanted in scales:
        scale = limited_scale((images.shape[-2], images.shape[-1]), wanted)
        seen = scaled(images, scale)
        maps = classifier(seen).cams.float()  # bfloat16 is too coarse for sums and for values between two cells
        if flip:
            maps = fuse(maps, classifier(seen.flip(-1)).cams.float().flip(-1))
        total = fuse(total, F.interpolate(maps, size=size, mode="bilinear", align_corners=False))
    total = total * tags[:, :, None, None]
    peak = total.amax(dim=(-2, -1), keepdim=True)
    return torch.where(peak > 0, total / peak.clamp(min=torch.finfo(total.dtype).tiny), torch.zeros_like(total))
