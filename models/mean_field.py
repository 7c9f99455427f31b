"""Fully connected CRF by mean field in torch. On a GPU it can be faster than pydensecrf, which uses one CPU thread."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.crf_constants import CrfConstants


class PermutohedralLattice:
    """Gaussian filter exp(-|f_i - f_j|^2 / 2) over features of any dimension (Adams, Baek, Davis, Eurographics 2010).

    The approximation is that of pydensecrf: values are spread (splatted) onto the corners of the simplex around their
    feature, blurred along each axis of the lattice, and interpolated (sliced) back.

    Parameters
    ----------
    features : Tensor, (N, d), float
        Each dimension is divided by its standard deviation.
    """

    def __init__(self, features: Tensor):
        count, dim = features.shape
        device = features.device
        features = features.double()
        axes = torch.arange(dim + 1, device=device)
        # Embed into the hyperplane sum x = 0 of d + 1 dimensions.
        scale = math.sqrt(2 / 3) * (dim + 1) / torch.sqrt((axes[:-1] + 1.0) * (axes[:-1] + 2.0))
        scaled = features * scale
        later = scaled.flip(1).cumsum(1).flip(1)  # sum of this element and those after it
        elevated = torch.cat([later[:, :1], later[:, 1:] - axes[1:-1] * scaled[:, :-1], -dim * scaled[:, -1:]], dim=1)
        # The nearest lattice point with coordinates that are all multiples of d + 1, and the order of the remainders.
        rounded = torch.round(elevated / (dim + 1)).long()
        excess = rounded.sum(1, keepdim=True)
        base = rounded * (dim + 1)
        order = (elevated - base).argsort(dim=1, descending=True, stable=True)
        rank = torch.empty_like(order).scatter_(1, order, axes.expand(count, -1)) + excess
        below, above = rank < 0, rank > dim
        shift = (below.long() - above.long()) * (dim + 1)
        rank, base = rank + shift, base + shift
        # Barycentric coordinates within the simplex.
        part = (elevated - base) / (dim + 1)
        weights = part.new_zeros(count, dim + 2)
        weights.scatter_add_(1, dim - rank, part).scatter_add_(1, dim + 1 - rank, -part)
        weights[:, 0] += 1 + weights[:, dim + 1]
        self.weights = weights[:, : dim + 1].float()  # (N, d + 1)
        # Corner r of the simplex: base + r, or base + r - (d + 1) for the r highest ranks.
        corner = axes[:, None].expand(-1, dim + 1) - (dim + 1) * (axes[None] > dim - axes[:, None])
        points = (base[:, None] + corner[:, rank].transpose(0, 1))[..., :dim].reshape(-1, dim)  # the last is redundant
        low = points.amin(0) - dim - 1
        extent = points.amax(0) - low + dim + 2
        strides = torch.cat([extent.flip(0).cumprod(0).flip(0)[1:], extent.new_ones(1)])
        keys, place = torch.unique(((points - low) * strides).sum(1), return_inverse=True)
        self.place = place.view(count, dim + 1)
        self.count = len(keys)
        self.neighbours = []
        for axis in range(dim + 1):
            step = -strides.sum() + ((dim + 1) * strides[axis] if axis < dim else 0)
            self.neighbours.append([self._find(keys, keys + step), self._find(keys, keys - step)])

    def _find(self, keys: Tensor, wanted: Tensor) -> Tensor:
        """Index of each wanted key. A key that does not occur has the index of the empty point at the end."""
        found = torch.searchsorted(keys, wanted).clamp(max=self.count - 1)
        return torch.where(keys[found] == wanted, found, self.count)

    def filter(self, values: Tensor) -> Tensor:
        """sum_j exp(-|f_i - f_j|^2 / 2) v_j, (L, N) -> (L, N), up to a constant factor."""
        spread = (values.T[:, None] * self.weights[..., None]).flatten(0, 1)  # (N * (d + 1), L)
        points = values.new_zeros(self.count + 1, len(values)).index_add_(0, self.place.flatten(), spread)
        for before, after in self.neighbours:
            blurred = points[:-1] + 0.5 * (points[before] + points[after])
            points = torch.cat([blurred, points[-1:]])
        sliced = torch.zeros_like(values.T)
        for corner, weight in enumerate(self.weights.T):
            sliced += points[self.place[:, corner]] * weight[:, None]
        return sliced.T


def mean_field(image: Tensor, unary: Tensor, constants: CrfConstants) -> Tensor:
    """Mean-field inference of the dense CRF (Kraehenbuehl and Koltun, NeurIPS 2011), Potts compatibility.

    Q <- softmax(-U + sum_m w_m K_m Q). Each kernel is normalised symmetrically, the default of pydensecrf.

    Parameters
    ----------
    image : Tensor, (H, W, 3), uint8
    unary : Tensor, (L, H, W), float, negative log probabilities
    constants : CrfConstants

    Returns
    -------
    Tensor, (L, H, W), float32, on the device of the image

    Examples
    --------
    >>> import torch
    >>> from models.crf_constants import CRF_PRESETS
    >>> image, unary = torch.zeros(8, 8, 3, dtype=torch.uint8), torch.ones(2, 8, 8)
    >>> image[:, 4:], unary[1, :, :3], unary[0, :, 3:] = 255, 2.0, 2.0  # classes change one column before the colours
    >>> mean_field(image, unary, CRF_PRESETS["irn"]).argmax(0)[0].tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]
    """
    height, width = unary.shape[1:]
    flat = unary.float().flatten(1)
    rows, columns = torch.meshgrid(
        torch.arange(height, device=unary.device), torch.arange(width, device=unary.device), indexing="ij"
    )
    position = torch.stack([columns, rows], dim=2).flatten(0, 1).double()
    near = torch.cat([position / constants.bilateral_sxy, image.flatten(0, 1) / constants.bilateral_srgb], dim=1)
    terms = []
    for weight, features in (
        (constants.gaussian_compat, position / constants.gaussian_sxy),
        (constants.bilateral_compat, near),
    ):
        lattice = PermutohedralLattice(features)
        norm = 1 / (lattice.filter(flat.new_ones(1, height * width)) + 1e-20).sqrt()
        terms.append((weight, lattice, norm))
    probabilities = (-flat).softmax(0)
    for _ in range(constants.iterations):
        messages = sum(weight * norm * lattice.filter(norm * probabilities) for weight, lattice, norm in terms)
        probabilities = (messages - flat).softmax(0)
    return probabilities.view(unary.shape)
