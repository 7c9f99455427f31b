"""The largest image that a network sees in one piece."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_INPUT = 2**22
"""Pixels. EfficientNet-Lite0 takes about 4 GB for an input of this size."""


def limited_scale(size: tuple[int, int], scale: float) -> float:
    """The scale at which a network sees an image: `scale`, or less if the input would have more than `LARGEST_INPUT`.

    Parameters
    ----------
    size : (height, width) of the image in pixels
    scale : float
        Wanted size of the input, relative to that of the image.

    Examples
    --------
    >>> limited_scale((480, 640), 3.0)
    3.0
    >>> round(limited_scale((3000, 4000), 1.5), 2)
    0.59
    """
    return min(scale, math.sqrt(LARGEST_INPUT / (size[0] * size[1])))


def scaled(images: Tensor, scale: float) -> Tensor:
    """Images (B, C, H, W) at a scale: (B, C, h, w), where h and w are the nearest whole numbers of at least 1.

    The whole image is mapped to the whole result. With the keyword ``scale_factor``, torch cuts off what the rounded
    size does not hold, and all that a network finds lies too far to the lower right.
    """
    import torch.nn.functional as F

    if scale == 1:
        return images
    size = [max(1, round(side * scale)) for side in images.shape[-2:]]
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False)


def limited(images: Tensor) -> Tensor:
    """Images (B, 3, H, W), scaled down if they are larger than `LARGEST_INPUT`."""
    import torch.nn.functional as F

    height, width = images.shape[-2:]
    scale = limited_scale((height, width), 1.0)
    if scale == 1:
        return images
    size = [round(height * scale), round(width * scale)]
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)
