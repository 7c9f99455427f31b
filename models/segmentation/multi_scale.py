"""Prediction at several scales and on mirror images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from models.input_size import limited_scale, scaled


def averaged_probabilities(
    logits_of: Callable[[Tensor], Tensor], images: Tensor, scales: Sequence[float], flip: bool
) -> Tensor:
    """Softmax probabilities (B, C, H, W), float32, averaged over scales and mirror images.

    Parameters
    ----------
    logits_of : callable
        Images (B, 3, h, w) -> class logits (B, C, h', w'). They are resized to the images here, in float32.
    images : Tensor, (B, 3, H, W)
    scales : sequence of float
        Sizes of the image relative to its own, limited by `models.input_size.limited_scale`.
    flip : bool
        Use the mirror image at every scale, too.

    Examples
    --------
    >>> import torch
    >>> def logits_of(images):
    ...     return images[:, :2, ::2, ::2]
    >>> probabilities = averaged_probabilities(logits_of, torch.zeros(1, 3, 4, 6), scales=(1.0, 0.5), flip=True)
    >>> probabilities.shape, float(probabilities.mean())
    (torch.Size([1, 2, 4, 6]), 0.5)
    """
    size = images.shape[-2:]
    total: Any = None
    for wanted in scales:
        scale = limited_scale((size[0], size[1]), wanted)
        seen = scaled(images, scale)
        for mirrored in (False, True) if flip else (False,):
            # Between two cells, classes are often equal in bfloat16. The argmax would take the lower one.
            logits = logits_of(seen.flip(-1) if mirrored else seen).float()
            logits = F.interpolate(
                logits.flip(-1) if mirrored else logits, size=size, mode="bilinear", align_corners=False
            )
            probabilities = logits.softmax(1)
            total = probabilities if total is None else total.add_(probabilities)
    return total.div_(len(scales) * (2 if flip else 1))
