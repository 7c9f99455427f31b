"""Depth from a single image, by a network of the transformers library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class DepthEstimator(nn.Module):
    """A monocular depth network with its own resizing and normalisation.

    Parameters
    ----------
    network : nn.Module
        As from ``AutoModelForDepthEstimation.from_pretrained``.
    processor : callable
        As from ``AutoImageProcessor.from_pretrained``.
    """

    def __init__(self, network: Any, processor: Any):
        super().__init__()
        self.network, self.processor = network, processor

    def forward(self, images: Sequence[np.ndarray]) -> list[Tensor]:
        """RGB images (H, W, 3) uint8 -> the network's depth of each, (H, W) float32, in its own unit."""
        inputs = self.processor(images=list(images), return_tensors="pt")
        device = next(self.network.parameters()).device
        outputs = self.network(**{name: values.to(device) for name, values in inputs.items()})
        sizes = [image.shape[:2] for image in images]
        found = self.processor.post_process_depth_estimation(outputs, target_sizes=sizes)
        return [item["predicted_depth"].float() for item in found]


def depth_of_disparity(disparity: Tensor, near: float, far: float) -> Tensor:
    """Metres from relative inverse depth, whose scale and offset are unknown.

    The 1 % and 99 % quantiles of the image are set to `far` and `near` metres, and inverse depth is
    linear between and beyond: planes stay planes (their inverse depth is affine in the pixel
    coordinates, before and after), distances are a convention.

    Parameters
    ----------
    disparity : Tensor, (H, W), float
    near, far : float, metres

    Returns
    -------
    Tensor, (H, W), metres; constant disparity gives `far`.
    """
    low, high = torch.quantile(disparity.flatten(), disparity.new_tensor([0.01, 0.99]))
    share = (disparity - low) / (high - low).clamp(min=torch.finfo(disparity.dtype).tiny)
    inverse = 1 / far + share * (1 / near - 1 / far)
    return 1 / inverse.clamp(min=0.5 / far)
