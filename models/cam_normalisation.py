"""Class scores brought into [0, 1], by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST = 1e-5
"""Divisors are kept above this, so that a map that is nowhere positive becomes 0."""


def divide_by_maximum(scores: Tensor) -> Tensor:
    """ReLU(s) / max ReLU(s), the field's usual form."""
    rectified = F.relu(scores)
    return rectified / rectified.amax(dim=(-2, -1), keepdim=True).clamp(min=SMALLEST)


def divide_by_quantile(scores: Tensor, quantile: float = 0.98) -> Tensor:
    """ReLU(s) / its 98 % quantile, cut at 1: one hot cell does not set the scale."""
    rectified = F.relu(scores)
    high = torch.quantile(rectified.flatten(-2), quantile, dim=-1)[..., None, None]
    high = torch.where(high > SMALLEST, high, rectified.amax(dim=(-2, -1), keepdim=True))  # objects below 2 %
    return (rectified / high.clamp(min=SMALLEST)).clamp(max=1.0)


NORMALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "max": divide_by_maximum,
    "quantile": divide_by_quantile,
}
"""name -> function of class scores (..., h, w), before ReLU, to the same shape in [0, 1]."""


def with_background(foreground: Tensor) -> Tensor:
    """(B, K, h, w) in [0, 1] -> (B, K+1, h, w) with background 1 - max_k in front."""
    return torch.cat([1 - foreground.amax(dim=1, keepdim=True), foreground], dim=1)


def check_normalisation(name: str) -> None:
    """Raise ValueError with the known names if `name` is not one of them."""
    if name not in NORMALISATIONS:
        raise ValueError(f"normalisation must be one of {sorted(NORMALISATIONS)}; got {name!r}")
