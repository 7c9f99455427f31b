"""Edges of depth maps: the borders between surfaces."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
"""The 3x3 Sobel operator d/dx, times 8."""


def sobel_magnitude(maps: Tensor) -> Tensor:
    """Gradient magnitude of each map with the 3x3 Sobel operator. The border is replicated.

    Parameters
    ----------
    maps : Tensor, (B, C, H, W), float

    Returns
    -------
    Tensor, (B, C, H, W)
        ``sqrt(gx^2 + gy^2)`` in the unit of the maps. The operator is divided by 8: a ramp that rises by 1 per pixel
        has magnitude 1. Its derivative is 0 where a map is constant, not NaN.

    Examples
    --------
    >>> import torch
    >>> ramp = torch.arange(4.0).expand(1, 1, 3, 4)
    >>> sobel_magnitude(ramp)[0, 0, 1].tolist()
    [0.5, 1.0, 1.0, 0.5]
    """
    kernel = maps.new_tensor(SOBEL) / 8.0
    kernels = torch.stack([kernel, kernel.T])[:, None]  # (2, 1, 3, 3): d/dx, d/dy
    batch, channels, height, width = maps.shape
    padded = F.pad(maps.reshape(batch * channels, 1, height, width), (1, 1, 1, 1), mode="replicate")
    squared = F.conv2d(padded, kernels).square().sum(1)
    # The derivative of sqrt is infinite at 0: the root is taken only where there is an edge.
    flat = squared == 0
    magnitude = torch.where(
        flat, torch.zeros_like(squared), torch.where(flat, torch.ones_like(squared), squared).sqrt()
    )
    return magnitude.reshape(batch, channels, height, width)


def inverse_depth(depth: Tensor, valid: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Mean inverse depth of the valid pixels in cells of ``factor`` x ``factor`` pixels.

    Parameters
    ----------
    depth : Tensor, (B, 1, H, W), metres
    valid : Tensor, (B, 1, H, W), bool
    factor : int

    Returns
    -------
    inverse : Tensor, (B, 1, ceil(H/factor), ceil(W/factor)), 1/m
        0 in cells without a valid pixel.
    known : Tensor, same shape, bool
        Cells with a valid pixel.
    """
    weight = (valid & (depth > 0)).to(depth.dtype)
    inverse = weight / depth.where(depth > 0, torch.ones_like(depth))
    total = F.avg_pool2d(inverse, factor, ceil_mode=True, count_include_pad=False)
    share = F.avg_pool2d(weight, factor, ceil_mode=True, count_include_pad=False)
    known = share > 0
    return total / share.where(known, torch.ones_like(share)), known


def inverse_depth_curvature(inverse: Tensor, known: Tensor, reach: int = 2) -> tuple[Tensor, Tensor]:
    """Second differences of inverse depth: e = max over x and y of |f(+r) + f(-r) - 2 f(0)|.

    Ours; the paper of DEAL takes Sobel magnitudes (`sobel_magnitude`). The inverse depth of a plane is affine in pixel
    coordinates. So e is 0 on every plane, also on a tilted one. It is large at silhouettes and at the crease between
    an object and its table.

    Parameters
    ----------
    inverse, known : Tensor, (B, 1, H, W)
        From `inverse_depth`.
    reach : int
        r, in cells.

    Returns
    -------
    curvature : Tensor, (B, 1, H, W), 1/m
        0 where a cell that is needed is unknown or beyond the border.
    defined : Tensor, (B, 1, H, W), bool
        True where at least one direction could be measured.

    Examples
    --------
    >>> import torch
    >>> crease = torch.tensor([3.0, 2.0, 1.0, 0.0, 1.0, 2.0, 3.0]).expand(1, 1, 1, 7)
    >>> inverse_depth_curvature(crease, torch.ones_like(crease, dtype=torch.bool), reach=1)[0].flatten().tolist()
    [0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]
    """
    curvature = torch.zeros_like(inverse)
    defined = torch.zeros_like(known)
    for dim in (-1, -2):
        size = inverse.shape[dim]
        if size <= 2 * reach:
            continue
        left, middle, right = (inverse.narrow(dim, start, size - 2 * reach) for start in (0, reach, 2 * reach))
        seen = torch.stack([known.narrow(dim, start, size - 2 * reach) for start in (0, reach, 2 * reach)]).all(0)
        second = torch.where(seen, (left + right - 2 * middle).abs(), torch.zeros_like(middle))
        target = curvature.narrow(dim, reach, size - 2 * reach)
        target.copy_(torch.maximum(target, second))
        defined.narrow(dim, reach, size - 2 * reach).logical_or_(seen)
    return curvature, defined
