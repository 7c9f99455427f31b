"""Soft assignment of pixels to the 3x3 cells around them, and pooling and upsampling with it.

The pixels form a fine grid (r h, r w), the cells a coarse grid (h, w): each cell covers r x r pixels. The assignment Q
(B, 9, r h, r w) has the shares of each pixel in its own cell and in the eight cells around it, row by row. The shares
of a pixel sum to 1. Cells beyond the edge of the image have share 0 (Yang et al., CVPR 2020, SpixelFCN).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

NEIGHBOURS = 9
"""Cells to which a pixel can belong."""


def neighbour_cells(cells: Tensor) -> Tensor:
    """The 3x3 cells around each cell, (B, C, h, w) -> (B, C, 9, h, w); 0 beyond the edge."""
    batch, channels, height, width = cells.shape
    return F.unfold(cells, kernel_size=3, padding=1).view(batch, channels, NEIGHBOURS, height, width)


def _blocks(fine: Tensor, height: int, width: int) -> Tensor:
    """(B, C, r h, r w) -> (B, C, h, r, w, r)."""
    batch, channels = fine.shape[:2]
    return fine.view(batch, channels, height, fine.shape[2] // height, width, fine.shape[3] // width)


def assign(fine: Tensor, coarse: Tensor, temperature: Tensor | float) -> Tensor:
    """Q = softmax(cosine similarity / temperature) over the cells around a pixel (Suzuki, arXiv 2103.03435).

    Parameters
    ----------
    fine : Tensor, (B, D, r h, r w)
        Features of the pixels.
    coarse : Tensor, (B, D, h, w)
        Features of the cells.
    temperature : Tensor or float, > 0

    Returns
    -------
    Tensor, (B, 9, r h, r w), >= 0
        The nine shares of a pixel sum to 1.

    Raises
    ------
    ValueError
        If the fine grid is not a multiple of the coarse one.
    """
    height, width = coarse.shape[-2:]
    if fine.shape[-2] % height or fine.shape[-1] % width:
        raise ValueError(f"pixels {tuple(fine.shape[-2:])} must be a multiple of the cells {(height, width)}")
    batch, depth = fine.shape[:2]
    pixels = _blocks(F.normalize(fine, dim=1), height, width).permute(0, 2, 4, 3, 5, 1)  # (B, h, w, r, r, D)
    cells = neighbour_cells(F.normalize(coarse, dim=1)).permute(0, 3, 4, 1, 2)  # (B, h, w, D, 9)
    # One small matrix product per cell: twice as fast as one einsum over the blocks, forward and backward.
    similarity = pixels.reshape(batch, height, width, -1, depth) @ cells
    similarity = similarity.view(*pixels.shape[:-1], NEIGHBOURS).permute(0, 5, 1, 3, 2, 4) / temperature
    inside = neighbour_cells(torch.ones_like(coarse[:1, :1]))[:, 0, :, :, None, :, None] > 0
    shares = similarity.masked_fill(~inside, float("-inf")).softmax(1)
    return shares.reshape(batch, NEIGHBOURS, *fine.shape[-2:])


def upsample(cells: Tensor, shares: Tensor) -> Tensor:
    """f^_p = sum_s Q_s(p) u_s: from values of the cells (B, C, h, w) to values of the pixels (B, C, r h, r w).

    Examples
    --------
    >>> import torch
    >>> shares = torch.zeros(1, 9, 2, 4)
    >>> shares[:, 4] = 1.0  # every pixel belongs to its own cell alone
    >>> upsample(torch.tensor([[[[5.0, 7.0]]]]), shares)[0, 0].tolist()
    [[5.0, 5.0, 7.0, 7.0], [5.0, 5.0, 7.0, 7.0]]
    """
    height, width = cells.shape[-2:]
    blocks = _blocks(shares, height, width)
    values = torch.einsum("bcnhw,bnhiwj->bchiwj", neighbour_cells(cells), blocks)
    return values.reshape(*cells.shape[:2], *shares.shape[-2:])


def gather(values: Tensor, shares: Tensor, size: tuple[int, int]) -> Tensor:
    """sum_p Q_s(p) f_p: from values of the pixels (B, C, r h, r w) to sums of the cells (B, C, h, w), (h, w) = `size`.

    It is the transpose of `upsample`. Divided by the same sum of ones it is the weighted mean u_s of a cell.
    """
    height, width = size
    given = torch.einsum("bchiwj,bnhiwj->bcnhw", _blocks(values, height, width), _blocks(shares, height, width))
    batch, channels = values.shape[:2]
    return F.fold(given.reshape(batch, channels * NEIGHBOURS, height * width), size, kernel_size=3, padding=1)


def reconstruct(values: Tensor, steps: list[Tensor]) -> Tensor:
    """f^_p = sum_s Q_s(p) u_s with u_s = sum_p Q_s(p) f_p / sum_p Q_s(p), where Q is the product of several steps.

    Parameters
    ----------
    values : Tensor, (B, C, H, W)
    steps : list of Tensor, (B, 9, H / r^k, W / r^k)
        The finest first. Each step halves the grid (r = 2).

    Returns
    -------
    Tensor, (B, C, H, W)
    """
    total, mass = values, torch.ones_like(values[:, :1])
    for shares in steps:
        size = (shares.shape[-2] // 2, shares.shape[-1] // 2)
        total, mass = gather(total, shares, size), gather(mass, shares, size)
    found = total / mass.clamp(min=1e-8)
    for shares in reversed(steps):
        found = upsample(found, shares)
    return found
