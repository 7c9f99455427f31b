"""Saliency loss of image-masking WSSS (S. Kim, dissertation, SNU 2022, eq. 2.7)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.label_values import UNLABELLED


def saliency_loss(logits: Tensor, saliency: Tensor, tags: Tensor, unlabelled: int = UNLABELLED) -> Tensor:
    """l = -(1/|S_b|) sum_{S_b} log H^b - (1/|S_f|) sum_{S_f} log H^f.

    H is the softmax of the logits, H^b = H_0 and H^f the sum of H over the present classes. S_b and S_f are
    the pixels of the batch that are not salient and salient; a batch without one of them lacks that term.

    Parameters
    ----------
    logits : Tensor, (B, K+1, H, W)
        Class scores, class 0 = background.
    saliency : Tensor, (B, H, W), integer
        0 not salient, 1 salient, `unlabelled` elsewhere.
    tags : Tensor, (B, K), {0, 1}
        Classes present. Salient pixels of an image without any are left out: no class can claim them.
    unlabelled : int

    Returns
    -------
    Tensor, scalar; 0 with zero gradient when no pixel counts.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    if (
        logits.ndim != 4
        or saliency.shape != logits.shape[:1] + logits.shape[2:]
        or tags.shape != (len(logits), logits.shape[1] - 1)
    ):
        raise ValueError(
            "saliency must be (B, H, W) and tags (B, K) of logits (B, K+1, H, W); got "
            f"{tuple(saliency.shape)}, {tuple(tags.shape)}, {tuple(logits.shape)}"
        )
    present = tags.bool()
    log_all = logits.logsumexp(1)
    # A finite number in place of -inf: an image of absent classes alone would have no gradient but NaN.
    absent = torch.finfo(logits.dtype).min / 2
    log_present = logits[:, 1:].masked_fill(~present[:, :, None, None], absent).logsumexp(1)
    salient = (saliency == 1) & (saliency != unlabelled) & present.any(1)[:, None, None]
    plain = saliency == 0
    zero = torch.zeros_like(log_all)
    on_background, on_foreground = (
        torch.where(mask, log_all - score, zero).sum() / mask.sum().clamp(min=1)
        for mask, score in ((plain, logits[:, 0]), (salient, log_present))
    )
    return on_background + on_foreground


class SaliencyLoss(nn.Module):
    """Module form of `saliency_loss`.

    Examples
    --------
    >>> import torch
    >>> loss = SaliencyLoss()
    >>> saliency = torch.tensor([[[0, 1], [1, 255]]])
    >>> float(loss(torch.zeros(1, 4, 2, 2), saliency, torch.tensor([[1, 1, 0]])).round(decimals=4))
    2.0794
    """

    def __init__(self, unlabelled: int = UNLABELLED):
        super().__init__()
        self.unlabelled = unlabelled

    def forward(self, logits: Tensor, saliency: Tensor, tags: Tensor) -> Tensor:
        return saliency_loss(logits, saliency, tags, self.unlabelled)
