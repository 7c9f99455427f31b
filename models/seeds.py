"""Seeds: the few pixels whose class is certain (S. Kim, SNU 2022, eqs. 3.2-3.7, and 1.12, 1.13)."""

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

    A pixel with max_c M_c > alpha is foreground of class argmax_c M_c. Background is the superpixel with the lowest
    mean of F = max_c M_c over its pixels, except for its foreground pixels. With `gamma` (ours), every superpixel with
    a mean F below it is background, too. All other pixels are unlabelled. An image without a present class is
    background everywhere. If the CAM of a present class is 0 everywhere, its object may be at any faint place: the
    CAMs then say nothing of the background.

    Parameters
    ----------
    cam : Tensor, (S, H, W), float in [0, 1]
        CAMs of the present classes, each divided by its maximum.
    classes : Tensor, (S,), integer
        Class numbers of the CAMs, 1..K.
    superpixels : Tensor, (H, W), integer
    alpha : float
        Foreground threshold.
    gamma : float
        Background threshold; 0 = eq. 3.5 alone. One superpixel is a reasonable share of an image with some dozens of
        superpixels, but almost nothing of an image with many more.
    background : Tensor, (H, W), bool, optional
        Pixels that are known to be background, also where a CAM is high. Superpixels are then not used.

    Returns
    -------
    Tensor, (H, W), int32
        0 background, 1..K foreground, 65535 unlabelled.

    Examples
    --------
    >>> import torch
    >>> cam, superpixels = torch.tensor([[[0.0, 0.1, 0.4, 0.9]]]), torch.tensor([[0, 0, 1, 1]])
    >>> initial_seed(cam, torch.tensor([7]), superpixels, alpha=0.8).tolist()
    [[0, 0, 65535, 7]]
    """
    if not len(classes):
        return torch.full(superpixels.shape, BACKGROUND, dtype=torch.int32)
    strongest, slot = cam.max(0)
    seed = torch.full(superpixels.shape, UNLABELLED, dtype=torch.int32)
    foreground = strongest > alpha
    seed[foreground] = classes[slot][foreground].to(seed.dtype)
    if background is not None:
        seed[background] = BACKGROUND
    elif _shows_every_class(cam):
        seed[faint_superpixels(strongest, superpixels, gamma) & ~foreground] = BACKGROUND
    return seed


def threshold_seed(cam: Tensor, classes: Tensor, alpha: float, faint: float) -> Tensor:
    """Seed of one image by two thresholds alone, the plain baseline (eqs. 1.12, 1.13).

    A pixel with max_c M_c > alpha is foreground of class argmax_c M_c. A pixel with max_c M_c < faint is background.
    All other pixels are unlabelled. An image without a present class is background everywhere. If the CAM of a present
    class is 0 everywhere, there is no background, as in `initial_seed`.

    Parameters
    ----------
    cam : Tensor, (S, H, W), float in [0, 1]
        CAMs of the present classes, each divided by its maximum.
    classes : Tensor, (S,), integer
        Class numbers of the CAMs, 1..K.
    alpha, faint : float
        tau_2 and tau_3 of the equations, with faint <= alpha.

    Returns
    -------
    Tensor, (H, W), int32
        0 background, 1..K foreground, 65535 unlabelled.

    Examples
    --------
    >>> import torch
    >>> threshold_seed(torch.tensor([[[0.0, 0.1, 0.4, 0.9]]]), torch.tensor([7]), alpha=0.8, faint=0.2).tolist()
    [[0, 0, 65535, 7]]
    """
    seed = torch.full(cam.shape[1:], UNLABELLED if len(classes) else BACKGROUND, dtype=torch.int32)
    if len(classes):
        strongest, slot = cam.max(0)
        foreground = strongest > alpha
        seed[foreground] = classes[slot][foreground].to(seed.dtype)
        if _shows_every_class(cam):
            seed[strongest < faint] = BACKGROUND
    return seed


def _shows_every_class(cam: Tensor) -> bool:
    """True if none of the CAMs (S, H, W) is 0 everywhere."""
    return bool(cam.flatten(1).any(1).all())


def faint_superpixels(strongest: Tensor, superpixels: Tensor, gamma: float) -> Tensor:
    """Pixels of the superpixel with the lowest mean of `strongest`, and of all superpixels with a mean below `gamma`.

    Parameters
    ----------
    strongest : Tensor, (H, W), float
    superpixels : Tensor, (H, W), integer
    gamma : float

    Returns
    -------
    Tensor, (H, W), bool
    """
    numbers = superpixels.long()
    flat = (numbers - numbers.min()).flatten()
    total = torch.bincount(flat, weights=strongest.flatten().double())
    mean = (total / torch.bincount(flat)).nan_to_num(nan=torch.inf)  # a number that no pixel has
    faint = (mean < gamma).index_fill(0, mean.argmin(), True)
    return faint[flat].view_as(superpixels)


def grow_seeds(
    probabilities: Tensor, seeds: Tensor, superpixels: Tensor, tags: Tensor, beta_bg: float, beta_fg: float
) -> Tensor:
    """Seeded region growing over superpixels (eqs. 3.6, 3.7).

    For each superpixel without its labelled pixels, the mean probability of each possible class is computed: background
    and the tags of the image. The unlabelled pixels of the superpixel get the best class if its mean exceeds beta. The
    seed itself never changes.

    Parameters
    ----------
    probabilities : Tensor, (B, K+1, H, W)
        Current softmax H of the network.
    seeds : Tensor, (B, H, W), integer
        0, 1..K, or 65535 = unlabelled.
    superpixels : Tensor, (B, H, W), int64
        Negative numbers belong to no superpixel (padding).
    tags : Tensor, (B, K), {0, 1}
        Image-level tags.
    beta_bg, beta_fg : float
        Thresholds of background and foreground classes.

    Returns
    -------
    Tensor, (B, H, W), dtype of the seeds
        The grown seeds.

    Examples
    --------
    >>> import torch
    >>> probabilities = torch.tensor([0.1, 0.9]).view(1, 2, 1, 1).expand(1, 2, 1, 3)
    >>> seeds, superpixels = torch.tensor([[[1, 65535, 65535]]]), torch.tensor([[[0, 0, -1]]])
    >>> grow_seeds(probabilities, seeds, superpixels, torch.tensor([[1]]), beta_bg=0.7, beta_fg=0.7).tolist()
    [[[1, 1, 65535]]]
    """
    batch = len(probabilities)
    free = ((seeds == UNLABELLED) & (superpixels >= 0)).flatten()
    per_image = int(superpixels.max()) + 1 if superpixels.numel() else 0
    if per_image <= 0 or not free.any():
        return seeds.clone()
    offset = torch.arange(batch, device=seeds.device).view(-1, 1, 1) * per_image
    region = (superpixels + offset).flatten()[free]  # superpixel number in the whole batch
    allowed = torch.cat([torch.ones_like(tags[:, :1]), tags], 1).bool()
    classes = allowed.any(0).nonzero()[:, 0]  # a copy of the values of a thousand classes would take gigabytes
    values = probabilities.detach()[:, classes].float().permute(0, 2, 3, 1).reshape(-1, len(classes))[free]
    sums = values.new_zeros(batch * per_image, len(classes)).index_add_(0, region, values)
    counts = torch.bincount(region, minlength=batch * per_image).clamp(min=1)
    means = (sums / counts[:, None]).view(batch, per_image, len(classes))
    best, place = means.masked_fill(~allowed[:, None, classes], -1.0).max(2)
    winner = classes[place]
    limit = torch.where(winner == BACKGROUND, beta_bg, beta_fg)
    assigned = torch.where(best > limit, winner, UNLABELLED).flatten()
    grown = seeds.clone().flatten()
    grown[free] = assigned[region].to(seeds.dtype)
    return grown.view_as(seeds)
