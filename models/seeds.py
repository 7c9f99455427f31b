"""Seeds: the few pixels whose class is sure (S. Kim, SNU 2022, eqs. 3.2-3.7)."""

from __future__ import annotations

import torch
from torch import Tensor

from models.label_values import UNLABELLED

BACKGROUND = 0


def initial_seed(
    cam: Tensor,
    classes: Tensor,
    superpixels: Tensor,
    alpha: float,
    gamma: float = 0.0,
    background: Tensor | None = None,
) -> Tensor:
    """Initial seed of one image (eqs. 3.4, 3.5).

    A pixel is foreground of class argmax_c M_c where max_c M_c > alpha; background is the one
    superpixel with the lowest mean over its pixels of F = max_c M_c, foreground pixels left out. With
    `gamma` (ours) every superpixel whose mean F is below it is background, too. All else is unlabelled.
    An image without a present class is background everywhere.

    Parameters
    ----------
    cam : Tensor, (S, H, W), float in [0, 1]
        CAMs of the present classes, each divided by its maximum.
    classes : Tensor, (S,), integer
        Their class numbers 1..K.
    superpixels : Tensor, (H, W), integer
    alpha : float
    gamma : float
        0 = eq. 3.5 alone. One superpixel is a fair share of the image where there are some dozens, and
        next to nothing of it where there are more.
    background : Tensor, (H, W), bool, optional
        What is known to be background, whatever the CAM says of it; superpixels are then not asked.

    Returns
    -------
    Tensor, (H, W), uint8: 0 background, 1..K foreground, 255 unlabelled.
    """
    if not len(classes):
        return torch.full(superpixels.shape, BACKGROUND, dtype=torch.uint8)
    strongest, slot = cam.max(0)
    seed = torch.full(superpixels.shape, UNLABELLED, dtype=torch.uint8)
    foreground = strongest > alpha
    if background is None:
        background = faint_superpixels(strongest, superpixels, gamma) & ~foreground
    seed[foreground] = classes[slot][foreground].to(torch.uint8)
    seed[background] = BACKGROUND
    return seed


def faint_superpixels(strongest: Tensor, superpixels: Tensor, gamma: float) -> Tensor:
    """Pixels (H, W), bool, of the superpixel with the lowest mean of `strongest`, and of all with one below `gamma`."""
    _, flat = torch.unique(superpixels, return_inverse=True)
    flat = flat.flatten()
    total = torch.bincount(flat, weights=strongest.flatten().double())
    mean = total / torch.bincount(flat)
    faint = (mean < gamma).index_fill(0, mean.argmin(), True)
    return faint[flat].view_as(superpixels)


def grow_seeds(
    probabilities: Tensor, seeds: Tensor, superpixels: Tensor, tags: Tensor, beta_bg: float, beta_fg: float
) -> Tensor:
    """Seeded region growing over superpixels (eqs. 3.6, 3.7).

    For each superpixel, less its already labelled pixels, the mean probability of each class that the
    image may hold (background and its tags) is taken; the rest of the superpixel gets the best class if
    its mean exceeds beta. The seed itself never changes.

    Parameters
    ----------
    probabilities : Tensor, (B, K+1, H, W), the network's current softmax H
    seeds : Tensor, (B, H, W), integer: 0, 1..K or 255 = unlabelled
    superpixels : Tensor, (B, H, W), int64; a negative number belongs to no superpixel (padding)
    tags : Tensor, (B, K), {0, 1}: image-level tags
    beta_bg, beta_fg : float
        Limits for background and foreground classes.

    Returns
    -------
    Tensor, (B, H, W), the seeds' dtype: the grown seeds.
    """
    batch, num_classes = probabilities.shape[:2]
    free = ((seeds == UNLABELLED) & (superpixels >= 0)).flatten()
    per_image = int(superpixels.max()) + 1 if superpixels.numel() else 0
    if per_image <= 0 or not free.any():
        return seeds.clone()
    offset = torch.arange(batch, device=seeds.device).view(-1, 1, 1) * per_image
    region = (superpixels + offset).flatten()[free]  # superpixel number over the whole batch
    values = probabilities.detach().float().permute(0, 2, 3, 1).reshape(-1, num_classes)[free]
    sums = values.new_zeros(batch * per_image, num_classes).index_add_(0, region, values)
    counts = torch.bincount(region, minlength=batch * per_image).clamp(min=1)
    means = (sums / counts[:, None]).view(batch, per_image, num_classes)
    allowed = torch.cat([torch.ones_like(tags[:, :1]), tags], 1).bool()
    best, winner = means.masked_fill(~allowed[:, None], -1.0).max(2)
    limit = torch.where(winner == BACKGROUND, beta_bg, beta_fg)
    assigned = torch.where(best > limit, winner, UNLABELLED).flatten()
    grown = seeds.clone().flatten()
    grown[free] = assigned[region].to(seeds.dtype)
    return grown.view_as(seeds)
