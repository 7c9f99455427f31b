"""Normalisation of class scores to [0, 1], by name.

This file does not load torch on import: the command line needs the names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 1e-5
"""Lower limit of the divisor: a map that is nowhere positive becomes 0."""


def divide_by_maximum(scores: Tensor) -> Tensor:
    """ReLU(s) / max ReLU(s), the usual form."""
    rectified = scores.relu()
    return rectified / rectified.amax(dim=(-2, -1), keepdim=True).clamp(min=SMALLEST)


def divide_by_quantile(scores: Tensor, quantile: float = 0.98) -> Tensor:
    """ReLU(s) / its 98 % quantile, clipped at 1: a single very strong cell does not set the scale.

    Where the quantile is 0, because the object covers less than 2 % of the cells, the maximum is the divisor.
    """
    rectified = scores.relu()
    high = rectified.flatten(-2).quantile(quantile, dim=-1)[..., None, None]
    high = high.where(high > SMALLEST, rectified.amax(dim=(-2, -1), keepdim=True))
    return (rectified / high.clamp(min=SMALLEST)).clamp(max=1.0)


NORMALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "max": divide_by_maximum,
    "quantile": divide_by_quantile,
}
"""name -> function of class scores (..., h, w), before ReLU, to the same shape in [0, 1]."""


def with_background(foreground: Tensor) -> Tensor:
    """Put the background 1 - max_k in front: (B, K, h, w) in [0, 1] -> (B, K+1, h, w)."""
    import torch

    return torch.cat([1 - foreground.amax(dim=1, keepdim=True), foreground], dim=1)


def check_normalisation(name: str) -> None:
    """Raise ValueError if the name is unknown. The message lists the known names."""
    if name not in NORMALISATIONS:
        raise ValueError(f"normalisation must be one of {sorted(NORMALISATIONS)}; got {name!r}")
