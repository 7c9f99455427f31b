"""FSL, the feature similarity loss (Jonnarth, Zhang, Felsberg, arXiv 2304.02621)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.cam_normalisation import NORMALISATIONS, check_normalisation, with_background
from models.losses.whole_batch import share_of_mean

LOG_OFFSET = 1e-5
"""Added inside the logarithms of the logit, as in the paper."""

RADIUS = 3.0
"""Pairs farther apart than this many sigma are left out. Their weight is below 1.2 % of that of a near pair."""

ROWS = 8
"""Grid rows whose pairs are in memory at a time."""


def pair_weights(x: Tensor, y: Tensor, distance2: Tensor, mu: float, sigma: float) -> Tensor:
    """g(distance) tanh(mu + logit(delta)) of pixel pairs, with delta = ||x - y||_1 / 3.

    Parameters
    ----------
    x, y : Tensor, (B, 3, N, 1) and (B, 3, 1, M), colours in [0, 1]
    distance2 : Tensor, (N, M), squared distance in cells
    mu, sigma : float
        As in `FeatureSimilarityLoss`.

    Returns
    -------
    Tensor, (B, N, M); 0 beyond `RADIUS` sigma.
    """
    red, green, blue = ((x[:, channel] - y[:, channel]).abs() for channel in range(3))  # avoids a tensor (B, 3, N, M)
    delta = (red + green + blue) / 3
    # tanh(mu + log(a / b)) = (e^2mu a^2 - b^2) / (e^2mu a^2 + b^2): needs no exponential or logarithm per pair
    above = math.exp(2 * mu) * (delta + LOG_OFFSET).square()
    below = (1 - delta + LOG_OFFSET).square()
    near = torch.exp(-distance2 / (2 * sigma**2)) / (2 * math.pi * sigma**2)
    near = near * (distance2 <= (RADIUS * sigma) ** 2)
    return near * (above - below) / (above + below)


def weighted_difference(values: Tensor, image: Tensor, mu: float, sigma: float) -> Tensor:
    """sum_j W_ij (p_i - p_j): the graph Laplacian of the pair weights, applied to the maps.

    It works on strips of `ROWS` grid rows and the rows within `RADIUS` sigma of them. So memory does not grow with
    the square of the number of cells.

    Parameters
    ----------
    values : Tensor, (B, C, h, w)
    image : Tensor, (B, 3, h, w), colours in [0, 1]
    mu, sigma : float
        As in `FeatureSimilarityLoss`.

    Returns
    -------
    Tensor, (B, C, h, w)
    """
    height, width = values.shape[-2:]
    reach = math.floor(RADIUS * sigma)
    columns = torch.arange(width, device=values.device)
    across = (columns[:, None] - columns[None]).square()
    strips = []
    for top in range(0, height, ROWS):
        bottom = min(top + ROWS, height)
        first, last = max(0, top - reach), min(height, bottom + reach)
        here = torch.arange(top, bottom, device=values.device)
        there = torch.arange(first, last, device=values.device)
        down = (here[:, None] - there[None]).square()
        distance2 = (down[:, None, :, None] + across[None, :, None, :]).flatten(2).flatten(0, 1).to(values.dtype)
        x = image[:, :, top:bottom].flatten(2)[..., :, None]
        y = image[:, :, first:last].flatten(2)[..., None, :]
        weights = pair_weights(x, y, distance2, mu, sigma)  # (B, rows * w, rows around * w)
        own, around = values[:, :, top:bottom].flatten(2), values[:, :, first:last].flatten(2)
        mixed = around @ weights.transpose(1, 2)
        strips.append((own * weights.sum(2)[:, None] - mixed).unflatten(2, (bottom - top, width)))
    return torch.cat(strips, dim=2)


class _PairwiseEnergy(torch.autograd.Function):
    """sum_ij W_ij 0.5 ||p_i - p_j||^2 = p . Lp. Its gradient is 2 Lp, as W is symmetric: no pair is kept in memory."""

    @staticmethod
    def forward(ctx, values, image, mu, sigma):
        applied = weighted_difference(values, image, mu, sigma)
        ctx.save_for_backward(applied)
        return (values * applied).sum()

    @staticmethod
    def backward(ctx, gradient):
        (applied,) = ctx.saved_tensors
        return 2 * gradient * applied, None, None, None


class FeatureSimilarityLoss(nn.Module):
    r"""Feature similarity loss: neighbours of similar colour should have similar CAMs, others different CAMs.

    .. math:: L = -\frac{1}{HW} \sum_{ij} g(d_{ij})\, \tfrac12 \lVert p_i - p_j \rVert_2^2\,
       \tanh\!\big(\mu + \log\frac{δ_{ij}}{1-δ_{ij}}\big),\quad
       g(d) = \frac{e^{-d^2/2σ^2}}{2πσ^2},\quad δ_{ij} = \tfrac13 \lVert x_i - x_j \rVert_1

    over all pairs of positions i, j. p are the normalised CAMs of the present classes and the background
    1 - max_k p_k; x is the image at the size of p.

    Parameters
    ----------
    mu : float
        Offset of the gate: colours that differ by less than 1/(1 + exp(mu)) attract, others repel.
    sigma : float
        Standard deviation of g in cells of the common grid. Pairs beyond 3 sigma (1.1 % of the mass of g) are left out.
    stride : int or None
        The common grid has 1/stride of the height and width of the image; None: the grid of the CAM.
    normalisation : {"max", "quantile"}
        How class scores are brought into [0, 1].

    Raises
    ------
    ValueError
        If `normalisation` is unknown.

    Examples
    --------
    >>> import torch
    >>> loss = FeatureSimilarityLoss(stride=8)
    >>> cam, image = torch.rand(2, 3, 15, 20), torch.rand(2, 3, 240, 320)
    >>> loss(cam, image, torch.tensor([[1, 0, 0], [0, 1, 1]])).shape
    torch.Size([])
    """

    def __init__(self, mu: float = 2.5, sigma: float = 5.0, stride: int | None = None, normalisation: str = "max"):
        super().__init__()
        check_normalisation(normalisation)
        self.mu, self.sigma, self.stride, self.normalisation = mu, sigma, stride, normalisation

    def forward(self, cam: Tensor, image: Tensor, tags: Tensor) -> Tensor:
        """Loss of a batch: the mean over its images.

        Parameters
        ----------
        cam : Tensor, (B, K, h, w)
            Class scores of any resolution (before ReLU).
        image : Tensor, (B, 3, H, W)
            RGB in [0, 1].
        tags : Tensor, (B, K), {0, 1}
            Image-level tags. Absent classes get no gradient.

        Returns
        -------
        Tensor, scalar
            float32 also under autocast; float64 for float64 CAMs.

        Raises
        ------
        ValueError
            If the shapes do not agree.
        """
        if cam.ndim != 4 or image.shape[:2] != (cam.shape[0], 3) or tags.shape != cam.shape[:2]:
            raise ValueError(
                "expected cam (B, K, h, w), image (B, 3, H, W), tags (B, K); "
                f"got {tuple(cam.shape)}, {tuple(image.shape)}, {tuple(tags.shape)}"
            )
        with torch.autocast(cam.device.type, enabled=False):
            cam = cam if cam.dtype == torch.float64 else cam.float()
            image = image.to(cam.dtype)
            if self.stride is None:
                size = (cam.shape[-2], cam.shape[-1])
            else:
                size = (-(-image.shape[-2] // self.stride), -(-image.shape[-1] // self.stride))
            small = F.interpolate(image, size=size, mode="area")
            resized = F.interpolate(cam, size=size, mode="bilinear", align_corners=False)
            foreground = NORMALISATIONS[self.normalisation](resized) * tags.to(cam.dtype)[:, :, None, None]
            energy = _PairwiseEnergy.apply(with_background(foreground), small, self.mu, self.sigma)
            return share_of_mean(-energy / (len(cam) * size[0] * size[1]), len(cam))
