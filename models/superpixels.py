"""Superpixel discovery on patch features, and superpixels of pixels (S. Kim, SNU 2022, ch. 3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.normalised_cuts import discover_by_cuts

SEED_RULES = ("lowest", "highest", "ncut")
"""How the next superpixel is found: from a seed patch, or by a normalised cut, which needs no seed."""


def discover_superpixels(features: Tensor, tau: float = 0.3, seed_rule: str = "lowest") -> Tensor:
    """Group the patches of each image by the similarity of their features (eq. 3.1, table 3.1).

    A are the cosine similarities of all patch pairs and B = [A > 0]. As long as patches are left, the patch p* with the
    lowest degree is the seed, where the degree d_p is the sum of B_pq over the patches q that are left. Of equal
    degrees the lowest index wins. The seed p* and the patches left with A_{p*q} > tau are the next superpixel.

    The degrees are not recomputed: the patches that a superpixel removes are subtracted from them. So all superpixels
    cost one matrix product and one pass over B.

    Parameters
    ----------
    features : Tensor, (B, N, D), float
        One vector per patch.
    tau : float
        Similarity above which a patch joins the superpixel of the seed.
    seed_rule : {"lowest", "highest", "ncut"}
        The seed is the patch of the lowest degree (as published) or of the highest degree (published ablation). ncut
        has no seeds: a normalised cut divides the patches that are left (`discover_by_cuts`, published ablation; slow).

    Returns
    -------
    Tensor, (B, N), int64
        Superpixel of each patch, numbered in order of discovery.

    Raises
    ------
    ValueError
        If the features are not (B, N, D) or the rule is unknown.

    Examples
    --------
    >>> import torch
    >>> features = torch.tensor([[[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [-0.1, 0.9]]])
    >>> discover_superpixels(features, tau=0.3).tolist()
    [[0, 0, 1, 1]]
    """
    if features.ndim != 3:
        raise ValueError(f"features must be (B, N, D); got {tuple(features.shape)}")
    unit = F.normalize(features.float(), dim=2)
    return discover_by_affinity(unit @ unit.transpose(1, 2), tau, seed_rule)


def discover_by_affinity(affinity: Tensor, tau: float, seed_rule: str = "lowest") -> Tensor:
    """`discover_superpixels` for any affinity A of units, which are patches or cells.

    Parameters
    ----------
    affinity : Tensor, (B, N, N), float, symmetric
    tau, seed_rule
        As in `discover_superpixels`.

    Returns
    -------
    Tensor, (B, N), int64
        Superpixel of each unit, numbered in order of discovery.

    Raises
    ------
    ValueError
        If the rule is unknown.

    Examples
    --------
    >>> import torch
    >>> affinity = torch.tensor([[1.0, 0.8, -0.5], [0.8, 1.0, 0.1], [-0.5, 0.1, 1.0]])
    >>> discover_by_affinity(affinity[None], tau=0.3).tolist()
    [[0, 0, 1]]
    """
    if seed_rule not in SEED_RULES:
        raise ValueError(f"seed_rule must be one of {SEED_RULES}; got {seed_rule!r}")
    batch, count = affinity.shape[:2]
    if seed_rule == "ncut":
        return torch.stack([discover_by_cuts(values, tau) for values in affinity])
    linked = (affinity > 0).view(torch.uint8)
    degree = torch.stack([column_sums(rows) for rows in linked])  # B is symmetric
    # A patch that is already taken cannot be the seed: its value is beyond any degree.
    beyond, extreme = (count + 1, torch.argmin) if seed_rule == "lowest" else (-1, torch.argmax)
    labels = affinity.new_full((batch, count), -1, dtype=torch.int64)
    left = torch.ones_like(labels, dtype=torch.bool)
    images = torch.arange(batch, device=affinity.device)
    number = 0
    while left.any():
        seed = extreme(degree.masked_fill(~left, beyond), dim=1)  # the first of equal degrees
        joins = affinity[images, seed] > tau
        joins[images, seed] = True
        members = joins & left  # none in an image that is complete
        labels.masked_fill_(members, number)
        left &= ~members
        for lost, rows, taken in zip(degree, linked, members, strict=True):
            lost -= column_sums(rows[taken])
        number += 1
    return labels


def column_sums(rows: Tensor) -> Tensor:
    """Sums of the columns of zeros and ones, (M, N), uint8 -> (N,), int32.

    Sums of 255 rows fit into bytes: on CPU this is many times faster than converting each element first.
    """
    total = torch.zeros(rows.shape[1], dtype=torch.int32, device=rows.device)
    for block in rows.split(255):
        total += block.sum(0, dtype=torch.uint8)
    return total


def superpixels_at_pixels(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Superpixel of each pixel: that of the nearest patch.

    Parameters
    ----------
    labels : Tensor, (h, w), integer
        Superpixel of each patch.
    size : (H, W)

    Returns
    -------
    Tensor, (H, W), int64

    Examples
    --------
    >>> import torch
    >>> superpixels_at_pixels(torch.tensor([[0, 3]]), (1, 6)).tolist()
    [[0, 0, 0, 3, 3, 3]]
    """
    return F.interpolate(labels[None, None].float(), size=size, mode="nearest-exact")[0, 0].long()


def renumber(labels: Tensor) -> Tensor:
    """The same partition with consecutive numbers from 0 in the same order. Refinement may leave superpixels empty.

    Examples
    --------
    >>> import torch
    >>> renumber(torch.tensor([[7, 2], [2, 9]])).tolist()
    [[1, 0], [0, 2]]
    """
    low = labels - labels.min()  # counting takes half of the time of sorting (torch.unique)
    found = torch.bincount(low.flatten()) > 0
    return (found.cumsum(0) - 1)[low]
