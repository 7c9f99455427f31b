"""Depth from a single image, with a network of the transformers library."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class DepthEstimator(nn.Module):
    """A monocular depth network with its own resizing and normalisation.

    Parameters
    ----------
    network : nn.Module
        From ``AutoModelForDepthEstimation.from_pretrained``.
    processor : callable
        From ``AutoImageProcessor.from_pretrained``.
    """

    def __init__(self, network: Any, processor: Any):
        super().__init__()
        self.network, self.processor = network, processor

    def prepared(self, image: np.ndarray) -> Tensor:
        """RGB image (H, W, 3), uint8 -> what the network takes, (3, h, w) float32: resized and normalised."""
        return self.processor(images=[image], return_tensors="pt")["pixel_values"][0]

    def forward(self, inputs: Tensor, size: tuple[int, int]) -> Tensor:
        """What `prepared` has made of B images of `size` (H, W) -> depth (B, H, W), float32, in the network's unit."""
        outputs = self.network(pixel_values=inputs)
        found = self.processor.post_process_depth_estimation(outputs, target_sizes=[size] * len(inputs))
        return torch.stack([item["predicted_depth"].float() for item in found])


def depth_of_disparity(disparity: Tensor, near: float, far: float) -> Tensor:
    """Metres from relative inverse depth, whose scale and offset are unknown.

    The 1 % and 99 % quantiles of the image are set to `far` and `near` metres. Inverse depth is linear between and
    beyond them. Planes stay planes, since their inverse depth is affine in pixel coordinates before and after.
    Distances are a convention, not a measurement.

    Parameters
    ----------
    disparity : Tensor, (H, W), float
    near, far : float, metres

    Returns
    -------
    Tensor, (H, W), metres
        Constant disparity gives `far`.

    Examples
    --------
    >>> import torch
    >>> depth = depth_of_disparity(torch.linspace(0, 1, 101).view(1, -1), near=0.5, far=2.0)
    >>> round(float(depth[0, 1]), 3), round(float(depth[0, 99]), 3)
    (2.0, 0.5)
    """
    low, high = torch.quantile(disparity.flatten(), disparity.new_tensor([0.01, 0.99]))
    share = (disparity - low) / (high - low).clamp(min=torch.finfo(disparity.dtype).tiny)
    inverse = 1 / far + share * (1 / near - 1 / far)
    return 1 / inverse.clamp(min=0.5 / far)
