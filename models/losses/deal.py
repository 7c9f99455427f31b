"""DEAL, the depth edge alignment loss (Schmidt, Belagiannis, Nalpantidis, arXiv 2509.17702).

The loss aligns the edges of class activation maps with the edges of depth. The paper does not say how edges are
brought into (0, 1) and at which resolution they are compared. These choices are keyword arguments here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.cam_normalisation import NORMALISATIONS, check_normalisation
from models.depth_edges import inverse_depth, inverse_depth_curvature, sobel_magnitude
from models.depth_noise import depth_noise, median_of
from models.losses.whole_batch import share_of_mean

EPSILON = 1e-5
"""Distance of edge strengths from 0 and 1, where the logarithm of the gate is infinite."""


def gate(edges: Tensor, mu: float) -> Tensor:
    """tanh(mu + logit(e)): about -1 for a non-edge, +1 for an edge, 0 at e = 1/(1 + exp(mu)).

    Examples
    --------
    >>> import torch
    >>> gate(torch.tensor([0.0, 0.0759, 1.0]), mu=2.5).round(decimals=2).tolist()
    [-1.0, 0.0, 1.0]
    """
    return torch.tanh(mu + torch.logit(edges, eps=EPSILON))


class DepthEdges(NamedTuple):
    """Edges of depth maps, tensors of (B, 1, H/stride, W/stride).

    Attributes
    ----------
    edges : Tensor
        1/m or metres per cell.
    known : Tensor, bool
        Cells where edges could be measured.
    inverse : Tensor, 1/m
        Inverse depth, for the noise by distance.
    metre : Tensor
        Edge of a step of one metre along the line of sight, in the unit of the edges.
    """

    edges: Tensor
    known: Tensor
    inverse: Tensor
    metre: Tensor


def curvature_edges(depth: Tensor, valid: Tensor, stride: int) -> DepthEdges:
    """Depth edges from second differences of inverse depth (ours): 0 on every plane.

    Inverse depth is averaged to half size. Its second differences over 2 cells are max-pooled to ``1/stride`` of the
    image.

    Parameters
    ----------
    depth : Tensor, (B, 1, H, W), metres
    valid : Tensor, (B, 1, H, W), bool
    stride : int
        Pixels per cell of the result.

    Returns
    -------
    DepthEdges
        In 1/m. A step of one metre at the distance z changes inverse depth by 1/z^2, to first order; z is the
        median distance of the image.
    """
    inverse, seen = inverse_depth(depth, valid, factor=2)
    curvature, defined = inverse_depth_curvature(inverse, seen)
    size = tuple(-(-side // stride) for side in depth.shape[-2:])
    edges = _largest_of_cells(curvature, stride, size)
    known = _largest_of_cells(defined.to(depth.dtype), stride, size) > 0
    # The nearest surface of a cell: at a silhouette, the edge is that of the object in front.
    nearest = _largest_of_cells(inverse, stride, size)
    # One distance for an image: with that of each cell, the far end of a table is full of edges.
    middle = median_of(nearest, known).view(-1, 1, 1, 1)
    return DepthEdges(edges, known, nearest, middle.square().expand_as(edges))


def _largest_of_cells(halves: Tensor, stride: int, size: tuple[int, ...]) -> Tensor:
    """The largest value of each cell of `stride` pixels, from values at half size; (B, 1, height, width)."""
    if stride % 2:
        return F.adaptive_max_pool2d(halves, size)
    return F.max_pool2d(halves, stride // 2, ceil_mode=True)


def sobel_edges(depth: Tensor, valid: Tensor, stride: int) -> DepthEdges:
    """Depth edges from the Sobel magnitude of depth (the form of the paper).

    Depth is resampled to ``1/stride`` by bicubic interpolation.

    Parameters
    ----------
    depth, valid, stride
        As in `curvature_edges`.

    Returns
    -------
    DepthEdges
        In metres per cell. Not known where any pixel of the cell or of its neighbours is invalid.
    """
    size = tuple(-(-side // stride) for side in depth.shape[-2:])
    filled = depth.where(valid, torch.zeros_like(depth))
    edges = sobel_magnitude(F.interpolate(filled, size=size, mode="bicubic", align_corners=False))
    invalid = (~valid).to(depth.dtype)
    if stride in (2, 3):  # bicubic interpolation reads four pixels, which the cell does not hold
        invalid = F.max_pool2d(invalid, 3, stride=1, padding=1)
    holes = F.adaptive_max_pool2d(invalid, size)
    known = F.max_pool2d(holes, 3, stride=1, padding=1) == 0  # the Sobel operator uses the neighbours, too
    return DepthEdges(edges, known, inverse_depth(depth, valid, stride)[0], torch.ones_like(edges))


DEPTH_EDGES = {"curvature": curvature_edges, "sobel": sobel_edges}
"""name -> function of (depth, valid, stride) that finds depth edges."""


def edge_strength(found: DepthEdges, floor: float, span: float, noise_factor: float) -> Tensor:
    """Bring depth edges into [0, 1]: 0 up to the floor, 1 from ``floor + span`` on, linear between them.

    Parameters
    ----------
    found : DepthEdges
        From a function of `DEPTH_EDGES`.
    floor, span : float, metres
        Steps along the line of sight. So a step counts the same in near and in far images.
    noise_factor : float
        The floor is at least this multiple of the noise of the image at this distance (`models.depth_noise`).

    Returns
    -------
    Tensor, (B, 1, h, w), [0, 1]
    """
    noise = depth_noise(found.edges, found.inverse, found.known)
    metre = found.metre.clamp(min=EPSILON)  # 0 where nothing was measured
    return ((found.edges - torch.maximum(noise_factor * noise, floor * metre)) / (span * metre)).clamp(0.0, 1.0)


def cam_edge_strength(cam: Tensor, size: tuple[int, int], normalisation: str = "max") -> Tensor:
    """Edges of the CAM of each class in [0, 1]: normalise, resize, take the Sobel magnitude, divide by its maximum.

    The maximum gets no gradient. Otherwise the loss could lower it by flattening the one strongest edge.

    Parameters
    ----------
    cam : Tensor, (B, K, h, w), class scores
    size : (height, width) of the result
    normalisation : a name of `models.cam_normalisation.NORMALISATIONS`

    Returns
    -------
    Tensor, (B, K, height, width), [0, 1]
    """
    normalised = NORMALISATIONS[normalisation](cam)
    edges = sobel_magnitude(F.interpolate(normalised, size=size, mode="bilinear", align_corners=False))
    return edges / edges.detach().amax(dim=(-2, -1), keepdim=True).clamp(min=EPSILON)


class DepthEdgeAlignmentLoss(nn.Module):
    r"""Depth edge alignment loss.

    .. math:: L = -\frac{1}{H'W'} \sum_{ij} \frac{1}{\sum_k y_k} \sum_k y_k\, a'_{k,ij}\, d'_{ij},
       \quad e' = \tanh(\mu + \log\frac{e}{1-e})

    with the edges a of the CAM, the edges d of depth, and the tags y, on a common grid of H' x W' cells.

    Parameters
    ----------
    mu : float
        Offset of the gate. With 2.5, as in the paper, a strength above 0.076 counts as an edge.
    edges : {"curvature", "sobel"}
        How depth edges are found: second differences of inverse depth (ours), or Sobel as in the paper.
    stride : int
        The common grid has 1/stride of the height and width of the depth map.
    floor, span : float, metres
        Steps up to `floor` have strength 0, from ``floor + span`` on 1.
    noise_factor : float
        Noisy depth gets a higher floor: this multiple of the noise of the image by distance (`edge_strength`).
        0 keeps one floor for all images.
    normalisation : {"max", "quantile"}
        How class scores are brought into [0, 1] before their edges are taken.

    Raises
    ------
    ValueError
        If `edges` or `normalisation` is unknown.

    Examples
    --------
    >>> import torch
    >>> loss = DepthEdgeAlignmentLoss(mu=2.5)
    >>> cam, depth = torch.rand(2, 3, 15, 20), torch.ones(2, 1, 240, 320)
    >>> loss(cam, depth, torch.tensor([[1, 0, 0], [0, 1, 1]])).shape
    torch.Size([])
    """

    def __init__(
        self,
        mu: float = 2.5,
        edges: str = "curvature",
        stride: int = 8,
        floor: float = 0.004,
        span: float = 0.03,
        noise_factor: float = 2.0,
        normalisation: str = "max",
    ):
        super().__init__()
        check_normalisation(normalisation)
        if edges not in DEPTH_EDGES:
            raise ValueError(f"edges must be one of {sorted(DEPTH_EDGES)}; got {edges!r}")
        self.mu, self.edges, self.stride, self.normalisation = mu, edges, stride, normalisation
        self.floor, self.span, self.noise_factor = floor, span, noise_factor

    def forward(self, cam: Tensor, depth: Tensor, tags: Tensor, valid: Tensor | None = None) -> Tensor:
        """Loss of a batch.

        Parameters
        ----------
        cam : Tensor, (B, K, h, w)
            Class scores of any resolution (before ReLU).
        depth : Tensor, (B, 1, H, W), metres
        tags : Tensor, (B, K), {0, 1}
            Image-level tags. Absent classes get no gradient. An image without a tag counts 0.
        valid : Tensor, (B, 1, H, W), bool, optional
            Pixels with measured depth; default: depth > 0 and finite.

        Returns
        -------
        Tensor, scalar in [-1, 1]
            float32 also under autocast; float64 for float64 CAMs.

        Raises
        ------
        ValueError
            If the shapes do not agree.
        """
        if cam.ndim != 4 or depth.ndim != 4 or tags.shape != cam.shape[:2] or depth.shape[:2] != (cam.shape[0], 1):
            raise ValueError(
                "expected cam (B, K, h, w), depth (B, 1, H, W), tags (B, K); "
                f"got {tuple(cam.shape)}, {tuple(depth.shape)}, {tuple(tags.shape)}"
            )
        with torch.autocast(cam.device.type, enabled=False):
            cam = cam if cam.dtype == torch.float64 else cam.float()
            depth = depth.to(cam.dtype)
            measured = (depth > 0) & depth.isfinite()
            valid = measured if valid is None else valid.bool() & measured
            tags = tags.to(cam.dtype)
            with torch.no_grad():
                found = DEPTH_EDGES[self.edges](depth, valid, self.stride)
                depth_gate = gate(edge_strength(found, self.floor, self.span, self.noise_factor), self.mu) * found.known
            size = (depth_gate.shape[-2], depth_gate.shape[-1])
            cam_gate = gate(cam_edge_strength(cam, size, self.normalisation), self.mu)
            alignment = (cam_gate * depth_gate).mean(dim=(-2, -1))  # (B, K)
            present = tags.sum(1).clamp(min=1.0)
            return share_of_mean(-((alignment * tags).sum(1) / present).mean(), len(tags))
