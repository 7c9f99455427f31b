"""ISL, the importance sampling loss (Jonnarth, Zhang, Felsberg, arXiv 2304.02621)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.losses.whole_batch import generator_of_batch, rows_of_batch, share_of_mean

FLOOR = 1e-5
"""Added to every probability: each position can be drawn."""


def importance_sampling_loss(
    maps: Tensor, tags: Tensor, samples: int = 10, generator: torch.Generator | None = None
) -> Tensor:
    r"""Classification loss of sampled positions instead of the average over all positions.

    For each image and class, n positions are drawn with replacement. Their probability is proportional to
    sigmoid(s_k) + 1e-5. The activations at these positions are the class scores:

    .. math:: L = \frac{1}{BKn} \sum_{b,k,j} -y_{bk} \log σ(s_{bk,i_j}) - (1-y_{bk}) \log(1 - σ(s_{bk,i_j}))

    Strong positions are drawn most often. So the loss of a present class does not fall when its map spreads over the
    image, unlike with an average, and the loss of an absent class acts on the peaks of its map.

    Parameters
    ----------
    maps : Tensor, (B, K, h, w)
        Activation maps s before ReLU.
    tags : Tensor, (B, K), {0, 1}
        Image-level tags y.
    samples : int
        Positions n drawn per image and class.
    generator : torch.Generator, optional
        On the device of the maps; default: torch's global generator.

    Returns
    -------
    Tensor, scalar
        float32 also under autocast; float64 for float64 maps.

    Raises
    ------
    ValueError
        If the shapes do not agree.
    """
    if maps.ndim != 4 or tags.shape != maps.shape[:2]:
        raise ValueError(f"expected maps (B, K, h, w), tags (B, K); got {tuple(maps.shape)}, {tuple(tags.shape)}")
    with torch.autocast(maps.device.type, enabled=False):
        flat = maps.flatten(2).flatten(0, 1)  # (B * K, h * w)
        flat = flat if flat.dtype == torch.float64 else flat.float()
        with torch.no_grad():
            batch, here = rows_of_batch(len(maps))
            chances = torch.ones(batch, *maps.shape[1:], dtype=flat.dtype, device=flat.device)
            chances[here] = (flat.sigmoid() + FLOOR).view_as(maps)
            generator = generator or generator_of_batch()
            places = torch.multinomial(chances.flatten(2).flatten(0, 1), samples, replacement=True, generator=generator)
            places = places.unflatten(0, (batch, -1))[here].flatten(0, 1)
        drawn = flat.gather(1, places)
        target = tags.to(drawn.dtype).flatten()[:, None].expand_as(drawn)
        return share_of_mean(F.binary_cross_entropy_with_logits(drawn, target), len(maps))


class ImportanceSamplingLoss(nn.Module):
    """Module form of `importance_sampling_loss`. Use (1 - w) * classification + w * ISL (paper: w = 0.2).

    Parameters
    ----------
    samples : int
        Positions drawn per image and class.

    Examples
    --------
    >>> import torch
    >>> loss = ImportanceSamplingLoss(samples=10)
    >>> maps, tags = torch.zeros(2, 3, 15, 20), torch.tensor([[1, 0, 0], [0, 1, 1]])
    >>> round(float(loss(maps, tags)), 4)
    0.6931
    """

    def __init__(self, samples: int = 10):
        super().__init__()
        if samples < 1:
            raise ValueError(f"samples must be at least 1; got {samples}")
        self.samples = samples

    def forward(self, maps: Tensor, tags: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return importance_sampling_loss(maps, tags, self.samples, generator)
