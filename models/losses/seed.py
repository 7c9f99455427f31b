"""Balanced seed loss of superpixel-guided WSSS (S. Kim, dissertation, SNU 2022, eq. 3.8)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from models.label_values import UNLABELLED
from models.losses.whole_batch import count_in_batch


def balanced_seed_loss(logits: Tensor, seeds: Tensor, unlabelled: int = UNLABELLED) -> Tensor:
    """L = -(1/|L_b|) sum_{L_b} log H_0 - (1/|L_f|) sum_{L_f} log H_c, where H is the softmax of the logits.

    L_b are the background pixels of the batch, L_f its foreground pixels. Both kinds have the same weight, whatever
    their number. A term without pixels is 0.

    The equation is for one image. Over a batch, the pixels of all images are counted together, which the paper leaves
    open.

    Parameters
    ----------
    logits : Tensor, (B, K+1, H, W)
        Class scores; class 0 = background.
    seeds : Tensor, (B, H, W), integer
        0 background, 1..K foreground class c, or `unlabelled`, which is ignored.
    unlabelled : int
        Value of pixels without a label.

    Returns
    -------
    Tensor, scalar
        0 with zero gradient if no pixel is labelled.

    Raises
    ------
    ValueError
        If the shapes do not agree.
    """
    if logits.ndim != 4 or seeds.shape != logits.shape[:1] + logits.shape[2:]:
        raise ValueError(
            f"expected logits (B, K+1, H, W), seeds (B, H, W); got {tuple(logits.shape)}, {tuple(seeds.shape)}"
        )
    losses = F.cross_entropy(logits, seeds.long(), ignore_index=unlabelled, reduction="none")  # 0 where unlabelled
    background = seeds == 0
    foreground = (seeds != 0) & (seeds != unlabelled)
    on_background, on_foreground = (
        (losses * mask).sum() / count_in_batch(mask.sum()).clamp(min=1) for mask in (background, foreground)
    )
    return on_background + on_foreground


class BalancedSeedLoss(nn.Module):
    """Module form of `balanced_seed_loss`.

    Parameters
    ----------
    unlabelled : int
        Value of pixels without a label.

    Examples
    --------
    >>> import torch
    >>> loss = BalancedSeedLoss()
    >>> seeds = torch.full((1, 4, 4), 65535)
    >>> seeds[0, 0], seeds[0, 3] = 0, 2
    >>> round(float(loss(torch.zeros(1, 3, 4, 4), seeds)), 4)  # 2 log 3
    2.1972
    """

    def __init__(self, unlabelled: int = UNLABELLED):
        super().__init__()
        self.unlabelled = unlabelled

    def forward(self, logits: Tensor, seeds: Tensor) -> Tensor:
        return balanced_seed_loss(logits, seeds, self.unlabelled)
