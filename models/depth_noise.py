"""Noise of depth: how large the second differences of inverse depth are on surfaces, for each image and distance."""

from __future__ import annotations

import torch
from torch import Tensor

GROUPS = 3
"""Groups of equal size, by distance, in which the noise of an image is measured."""

LARGEST_RATIO = 1.25
"""Of the noise of a group to that of the image. The objects are mostly in the nearest group: their own borders must not
hide them. On the training frames of the rendered HOPE stand-in, DEAL gives CAM seeds of 86.1 mIoU with 1.25 and 84.1
with 2 (seed 0)."""


def median_of(values: Tensor, known: Tensor) -> Tensor:
    """Median of the known values of each image, the lower one of two; 0 if none is known.

    `torch.nanmedian` has no deterministic form on GPUs; sorting has.

    Parameters
    ----------
    values : Tensor, (B, ...)
    known : Tensor, same shape, bool

    Returns
    -------
    Tensor, (B,)

    Examples
    --------
    >>> import torch
    >>> median_of(torch.tensor([[3.0, 1.0, 2.0, 9.0]]), torch.tensor([[True, True, True, False]]))
    tensor([2.])
    """
    ordered = values.where(known, torch.inf).flatten(1).sort(dim=1).values
    count = known.flatten(1).sum(1, keepdim=True)
    return ordered.gather(1, (count - 1).clamp(min=0) // 2).where(count > 0, 0.0)[:, 0]


def depth_noise(curvature: Tensor, inverse: Tensor, known: Tensor) -> Tensor:
    """Noise of the second differences of inverse depth, at the distance of each cell.

    Most of an image is surface, not border, and second differences are 0 on surfaces. So their median absolute value
    measures the noise: that of the sensor, its steps, and the small relief of surfaces. Noise of structured light and
    of stereo is about constant in inverse depth (Khoshelham, Elberink, Sensors 2012, eq. 5: that of depth grows with
    its square), that of other sensors is not. So it is measured in `GROUPS` groups by distance, and interpolated.

    Parameters
    ----------
    curvature : Tensor, (B, 1, h, w), 1/m
        From `models.depth_edges.inverse_depth_curvature`.
    inverse : Tensor, (B, 1, h, w), 1/m
        Inverse depth of the same cells.
    known : Tensor, (B, 1, h, w), bool
        Cells where the curvature could be measured.

    Returns
    -------
    Tensor, (B, 1, h, w), 1/m
        0 where nothing in the image is known.

    Examples
    --------
    >>> import torch
    >>> curvature = torch.full((1, 1, 2, 6), 0.003)
    >>> curvature[0, 0, :, 3] = 0.5  # a border
    >>> noise = depth_noise(curvature, torch.ones_like(curvature), torch.ones_like(curvature, dtype=torch.bool))
    >>> noise[0, 0, 0, 0].item()
    0.003000000026077032
    """
    whole = median_of(curvature, known)[:, None]
    # Rank of each cell by distance, among the known ones.
    order = inverse.where(known, torch.inf).flatten(1).argsort(dim=1, stable=True)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    count = known.flatten(1).sum(1, keepdim=True)
    group = (rank * GROUPS // count.clamp(min=1)).view_as(known)
    places, levels = [], []
    for number in range(GROUPS):
        inside = known & (group == number)
        places.append(median_of(inverse, inside))
        levels.append(median_of(curvature, inside))
    place, level = torch.stack(places, 1), torch.stack(levels, 1)  # (B, GROUPS)
    level = level.clamp(min=whole / LARGEST_RATIO, max=whole * LARGEST_RATIO)
    noise = level[:, :1].expand(-1, inverse[0].numel())
    at = inverse.flatten(1)
    for number in range(GROUPS - 1):
        low, high = place[:, number : number + 1], place[:, number + 1 : number + 2]
        share = ((at - low) / (high - low).clamp(min=torch.finfo(at.dtype).eps)).clamp(0, 1)
        noise = noise + share * (level[:, number + 1 : number + 2] - level[:, number : number + 1])
    return noise.view_as(inverse)
