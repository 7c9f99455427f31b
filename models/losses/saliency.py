"""Saliency loss of image-masking WSSS (S. Kim, dissertation, SNU 2022, eq. 2.7)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.label_values import UNLABELLED
from models.losses.whole_batch import count_in_batch


def saliency_loss(logits: Tensor, saliency: Tensor, tags: Tensor, unlabelled: int = UNLABELLED) -> Tensor:
    """l = -(1/|S_b|) sum_{S_b} log H^b - (1/|S_f|) sum_{S_f} log H^f.

    H is the softmax of the logits, H^b = H_0, and H^f is the sum of H over the present classes. S_b are the pixels of
    the batch that are not salient, S_f those that are. A term without pixels is 0.

    The equation is for one image. Over a batch, the pixels of all images are counted together, which the paper leaves
    open.

    Parameters
    ----------
    logits : Tensor, (B, K+1, H, W)
        Class scores; class 0 = background.
    saliency : Tensor, (B, H, W), integer
        0 not salient, 1 salient, or `unlabelled`, which is ignored.
    tags : Tensor, (B, K), {0, 1}
        Image-level tags. Salient pixels of an image without a tag are ignored, since no class explains them.
    unlabelled : int
        Value of pixels without a label.

    Returns
    -------
    Tensor, scalar
        0 with zero gradient if no pixel counts.

    Raises
    ------
    ValueError
        If the shapes do not agree.
    """
    if (
        logits.ndim != 4
        or saliency.shape != logits.shape[:1] + logits.shape[2:]
        or tags.shape != (len(logits), logits.shape[1] - 1)
    ):
        raise ValueError(
            "expected logits (B, K+1, H, W), saliency (B, H, W), tags (B, K); "
            f"got {tuple(logits.shape)}, {tuple(saliency.shape)}, {tuple(tags.shape)}"
        )
    present = tags.bool()
    log_all = logits.logsumexp(1)
    # A finite number instead of -inf: an image without a present class would get the gradient NaN.
    absent = torch.finfo(logits.dtype).min / 2
    log_present = logits[:, 1:].masked_fill(~present[:, :, None, None], absent).logsumexp(1)
    salient = (saliency == 1) & (saliency != unlabelled) & present.any(1)[:, None, None]
    plain = saliency == 0
    zero = torch.zeros_like(log_all)
    on_background, on_foreground = (
        torch.where(mask, log_all - score, zero).sum() / count_in_batch(mask.sum()).clamp(min=1)
        for mask, score in ((plain, logits[:, 0]), (salient, log_present))
    )
    return on_background + on_foreground


class SaliencyLoss(nn.Module):
    """Module form of `saliency_loss`.

    Parameters
    ----------
    unlabelled : int
        Value of pixels without a label.

    Examples
    --------
    >>> import torch
    >>> loss = SaliencyLoss()
    >>> saliency = torch.tensor([[[0, 1], [1, 65535]]])
    >>> round(float(loss(torch.zeros(1, 4, 2, 2), saliency, torch.tensor([[1, 1, 0]]))), 4)  # log 4 + log 2
    2.0794
    """

    def __init__(self, unlabelled: int = UNLABELLED):
        super().__init__()
        self.unlabelled = unlabelled

    def forward(self, logits: Tensor, saliency: Tensor, tags: Tensor) -> Tensor:
        return saliency_loss(logits, saliency, tags, self.unlabelled)
