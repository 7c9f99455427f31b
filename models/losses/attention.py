"""Attention loss of image-masking WSSS (S. Kim, dissertation, SNU 2022, eqs. 2.8-2.11)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.losses.whole_batch import generator_of_batch, rows_of_batch, share_of_mean


def masked_images(images: Tensor, probabilities: Tensor, erased: Tensor) -> Tensor:
    """I' = (1 - sum_c H_c b_c) (I - mu): erase the chosen classes from each image (eqs. 2.8, 2.9).

    Parameters
    ----------
    images : Tensor, (B, 3, H, W)
        Normalised: 0 is the mean colour.
    probabilities : Tensor, (B, K+1, H, W)
        H, softmax of the segmentation network; class 0 = background.
    erased : Tensor, (B, K), {0, 1}
        b, 1 for the present classes that are erased.

    Returns
    -------
    Tensor, (B, 3, H, W)
    """
    kept = 1 - (probabilities[:, 1:] * erased[:, :, None, None]).sum(1, keepdim=True)
    return images * kept


def attention_loss(scores: Tensor, tags: Tensor, erased: Tensor) -> Tensor:
    """Binary cross entropy of the classifier's scores of masked images against t' = t (1 - b) (eq. 2.10).

    Parameters
    ----------
    scores : Tensor, (B, K)
        Class logits of the masked images.
    tags, erased : Tensor, (B, K), {0, 1}
        t and b.

    Returns
    -------
    Tensor, scalar
        Mean over the present classes of an image, then over the images. An image without a present class counts 0.
    """
    tags, erased = tags.to(scores.dtype), erased.to(scores.dtype)
    losses = F.binary_cross_entropy_with_logits(scores, tags * (1 - erased), reduction="none") * tags
    return share_of_mean((losses.sum(1) / tags.sum(1).clamp(min=1)).mean(), len(tags))


class AttentionLoss(nn.Module):
    """A frozen classifier must find the classes that remain in a masked image, and not the erased ones (eqs. 2.8-2.11).

    Each of the `paths` draws its own b in {0, 1}^K from torch's global generator. Their losses are averaged.

    Parameters
    ----------
    paths : int
        N of eq. 2.11. Published best: 2 for VGG16, 3 for ResNet101.

    Examples
    --------
    >>> import torch
    >>> loss = AttentionLoss(paths=1)
    >>> images, logits = torch.randn(2, 3, 8, 8), torch.zeros(2, 4, 8, 8)
    >>> brightness = lambda images: images.mean(dim=(1, 2, 3))[:, None].expand(-1, 3)
    >>> float(loss(logits, images, torch.zeros(2, 3), brightness))
    0.0
    """

    def __init__(self, paths: int = 2):
        super().__init__()
        self.paths = paths

    def forward(
        self,
        logits: Tensor,
        images: Tensor,
        tags: Tensor,
        classify: Callable[[Tensor], Tensor],
        erased: Tensor | None = None,
    ) -> Tensor:
        """
        Parameters
        ----------
        logits : Tensor, (B, K+1, h, w)
            Class logits of the segmentation network. They are resized to the images (bilinear) after the softmax.
        images : Tensor, (B, 3, H, W), normalised
        tags : Tensor, (B, K), {0, 1}
        classify : callable
            Images (B, 3, H, W) -> class logits (B, K). Its parameters must be constant. The gradient passes through
            it to the mask.
        erased : Tensor, (N, B, K), {0, 1} or None
            b of every path; None draws it.

        Returns
        -------
        Tensor, scalar

        Raises
        ------
        ValueError
            If the shapes do not agree.
        """
        if logits.ndim != 4 or tags.shape != (len(logits), logits.shape[1] - 1) or len(images) != len(logits):
            raise ValueError(
                "expected logits (B, K+1, h, w), images (B, 3, H, W), tags (B, K); "
                f"got {tuple(logits.shape)}, {tuple(images.shape)}, {tuple(tags.shape)}"
            )
        if erased is None:
            batch, here = rows_of_batch(len(tags))
            shape = (self.paths, batch, tags.shape[1])
            erased = torch.randint(0, 2, shape, device=tags.device, generator=generator_of_batch())[:, here]
        probabilities = logits.softmax(1)
        if probabilities.shape[-2:] != images.shape[-2:]:
            probabilities = F.interpolate(probabilities, images.shape[-2:], mode="bilinear", align_corners=False)
        losses = []
        for path in erased:
            chosen = path.to(logits.dtype) * tags.to(logits.dtype)
            losses.append(attention_loss(classify(masked_images(images, probabilities, chosen)), tags, chosen))
        return torch.stack(losses).mean()
