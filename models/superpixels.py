"""Superpixel discovery on patch features and its refinement to pixels (S. Kim, SNU 2022, ch. 3)."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from torch import Tensor

SEED_RULES = ("lowest", "highest", "ncut")


def discover_superpixels(features: Tensor, tau: float = 0.3, seed_rule: str = "lowest") -> Tensor:
    """Group the patches of each image by the similarity of their features (eq. 3.1, table 3.1).

    With A the cosine similarities of all patch pairs and B = [A > 0], as long as patches are left:
    the patch p* of lowest degree d_p = sum over the patches left of B_pq is the seed (ties go to the
    lower index), and the patches left with A_{p*q} > tau, p* among them, are its superpixel.
    The degrees are never recomputed: what a superpixel removes is subtracted from them, so the whole
    costs one matrix product and one pass over B.

    Parameters
    ----------
    features : Tensor, (B, N, D), float
        One vector a patch.
    tau : float
        Similarity above which a patch joins the seed's superpixel.
    seed_rule : {"lowest", "highest", "ncut"}
        Take the patch of lowest (the paper's) or highest degree (its ablation) as seed, or the one that the
        normalised cut of the patches left puts farthest from the cut (`cut_extreme`; slow).

    Returns
    -------
    Tensor, (B, N), int64
        Superpixel of each patch, numbered in order of discovery.

    Raises
    ------
    ValueError
        If the features are not (B, N, D) or the rule is unknown.
    """
    if features.ndim != 3:
        raise ValueError(f"features must be (B, N, D); got {tuple(features.shape)}")
    unit = F.normalize(features.float(), dim=2)
    return discover_by_affinity(unit @ unit.transpose(1, 2), tau, seed_rule)


def discover_by_affinity(affinity: Tensor, tau: float, seed_rule: str = "lowest") -> Tensor:
    """`discover_superpixels` for any affinity A of the units, patches or cells.

    Parameters
    ----------
    affinity : Tensor, (B, N, N), float, symmetric
    tau, seed_rule : as there

    Returns
    -------
    Tensor, (B, N), int64
    """
    if seed_rule not in SEED_RULES:
        raise ValueError(f"seed_rule must be one of {SEED_RULES}; got {seed_rule!r}")
    batch, count = affinity.shape[:2]
    if seed_rule == "ncut":
        return torch.stack([discover_by_cuts(values, tau) for values in affinity])
    linked = (affinity > 0).view(torch.uint8)
    degree = torch.stack([column_sums(rows) for rows in linked])  # B is symmetric
    # A patch already taken must never be the seed: its rank is beyond any degree.
    beyond, extreme = (count + 1, torch.argmin) if seed_rule == "lowest" else (-1, torch.argmax)
    labels = affinity.new_full((batch, count), -1, dtype=torch.int64)
    left = torch.ones_like(labels, dtype=torch.bool)
    images = torch.arange(batch, device=affinity.device)
    number = 0
    while left.any():
        seed = extreme(degree.masked_fill(~left, beyond), dim=1)  # the first of equals
        joins = affinity[images, seed] > tau
        joins[images, seed] = True
        members = joins & left  # none in an image that is finished
        labels.masked_fill_(members, number)
        left &= ~members
        for lost, rows, taken in zip(degree, linked, members, strict=True):
            lost -= column_sums(rows[taken])
        number += 1
    return labels


def discover_by_cuts(affinity: Tensor, tau: float) -> Tensor:
    """`discover_by_affinity` of one image, (N, N) -> (N,), with seeds from normalised cuts: one eigenproblem each."""
    labels = torch.full(affinity.shape[:1], -1, dtype=torch.int64, device=affinity.device)
    left = torch.arange(len(affinity), device=affinity.device)
    number = 0
    while len(left):
        seed = cut_extreme(affinity[left][:, left])
        members = affinity[left[seed], left] > tau
        members[seed] = True
        labels[left[members]] = number
        left = left[~members]
        number += 1
    return labels


def cut_extreme(affinity: Tensor) -> int:
    """The unit that is most surely on its side of the normalised cut (Shi and Malik, 2000; Wang et al., CVPR 2022).

    With W = 1 where A > 0, else 1e-5, and D its degrees, x is the eigenvector of the second smallest eigenvalue
    of (D - W) x = lambda D x; the unit is argmax |x|. What exactly the dissertation's eqs. 3.13 to 3.15 cut
    could not be read; this is how TokenCut picks the seed of an object.

    Parameters
    ----------
    affinity : Tensor, (N, N), float, symmetric

    Returns
    -------
    int, the lowest of equals
    """
    if len(affinity) < 3:
        return 0
    weights = np.where(affinity.cpu().numpy() > 0, 1.0, 1e-5)
    degrees = np.diag(weights.sum(1))
    _, vectors = scipy.linalg.eigh(degrees - weights, degrees, subset_by_index=[1, 1])
    # Equals differ by rounding alone.
    return int(np.argmax(np.round(np.abs(vectors[:, 0]), 9)))


def column_sums(rows: Tensor) -> Tensor:
    """Sums over the rows of zeros and ones, (M, N) uint8 -> (N,) int32.

    In bytes, which hold the sum of 255 rows: many times faster on CPU than widening each element first.
    """
    total = torch.zeros(rows.shape[1], dtype=torch.int32, device=rows.device)
    for block in rows.split(255):
        total += block.sum(0, dtype=torch.uint8)
    return total


def superpixels_at_pixels(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Superpixel of each pixel by nearest patch.

    Parameters
    ----------
    labels : Tensor, (h, w), integer
    size : (H, W)

    Returns
    -------
    Tensor, (H, W), int64
    """
    return F.interpolate(labels[None, None].float(), size=size, mode="nearest-exact")[0, 0].long()


def renumber(labels: Tensor) -> Tensor:
    """The same partition with consecutive numbers from 0, the order kept (refinement may empty some)."""
    return torch.unique(labels, return_inverse=True)[1]
