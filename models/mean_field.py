"""Fully connected CRF by mean field in torch. On a GPU it can be faster than pydensecrf, which uses one CPU thread."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from models.crf_constants import CrfConstants, group_size, pixel_blocks

POINTS_AT_ONCE = 2**18
"""Features whose place in the lattice is computed together."""


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
        parts = [_simplices(part.double()) for part in features.split(POINTS_AT_ONCE)]  # in parts: doubles take memory
        base, rank = (torch.cat(values) for values in zip(*((base, rank) for base, rank, _ in parts)))
        self.weights = torch.cat([weights for _, _, weights in parts])  # (N, d + 1)
        del parts
        axes = torch.arange(dim + 1, device=device)
        # Corner r of the simplex: base + r, or base + r - (d + 1) for the r highest ranks. The last axis is redundant.
        corner = axes[:, None].expand(-1, dim + 1) - (dim + 1) * (axes[None] > dim - axes[:, None])
        corner = corner.to(base.dtype)
        # A corner is at most d below base and d above it; one step of the blur goes d further.
        low = base[:, :dim].amin(0).long() - 2 * dim - 1
        extent = base[:, :dim].amax(0).long() - low + 2 * dim + 2
        strides = torch.cat([extent.flip(0).cumprod(0).flip(0)[1:], extent.new_ones(1)])
        keys = torch.empty(count, dim + 1, dtype=torch.int64, device=device)
        for part, places, ranks in zip(*(values.split(POINTS_AT_ONCE) for values in (keys, base, rank)), strict=True):
            points = places[:, None, :dim] + corner[:, ranks[:, :dim].long()].transpose(0, 1)
            part.copy_(((points - low) * strides).sum(2))
        del base, rank
        keys, place = torch.unique(keys, return_inverse=True)
        self.place = place.int()  # (N, d + 1)
        del place
        self.count = len(keys)
        self.neighbours = []
        for axis in range(dim + 1):
            step = -strides.sum() + ((dim + 1) * strides[axis] if axis < dim else 0)
            self.neighbours.append([self._find(keys, keys + step), self._find(keys, keys - step)])

    def _find(self, keys: Tensor, wanted: Tensor) -> Tensor:
        """Index of each wanted key. A key that does not occur has the index of the empty point at the end."""
        found = torch.searchsorted(keys, wanted, out_int32=True).clamp_(max=self.count - 1)
        return found.masked_fill_(keys.index_select(0, found) != wanted, self.count)

    def filter(self, values: Tensor) -> Tensor:
        """sum_j exp(-|f_i - f_j|^2 / 2) v_j, (L, N) -> (L, N), up to a constant factor."""
        spread = (values.T[:, None] * self.weights[..., None]).flatten(0, 1)  # (N * (d + 1), L)
        points = values.new_zeros(self.count + 1, len(values)).index_add_(0, self.place.flatten(), spread)
        for before, after in self.neighbours:
            blurred = points[:-1] + 0.5 * (points.index_select(0, before) + points.index_select(0, after))
            points = torch.cat([blurred, points[-1:]])
        sliced = torch.zeros_like(values.T)
        for corner, weight in enumerate(self.weights.T):
            sliced += points.index_select(0, self.place[:, corner]) * weight[:, None]
        return sliced.T


def _simplices(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The simplex of the lattice around each feature, (N, d): its nearest point, ranks and barycentric weights.

    Returns
    -------
    base : Tensor, (N, d + 1), int32
        A lattice point with coordinates that are all multiples of d + 1.
    rank : Tensor, (N, d + 1), int8
        Order of the remainders.
    weights : Tensor, (N, d + 1), float32
        Barycentric coordinates.
    """
    count, dim = features.shape
    axes = torch.arange(dim + 1, device=features.device)
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
    return base.int(), rank.to(torch.int8), weights[:, : dim + 1].float()


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
    flat = unary.float().flatten(1)
    return _mean_field(image, lambda first, end: flat[first:end], len(flat), constants).view(unary.shape)


def labels_by_torch(
    image: np.ndarray, labels: np.ndarray, num_labels: int, energies: tuple[float, float], constants: CrfConstants
) -> np.ndarray:
    """The best labels by mean field from a label map, on the CPU. The unary energy is never in memory as a whole.

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8
    labels : ndarray, (H * W,), integer in [0, num_labels)
    num_labels : int
    energies : (float, float)
        Unary energy of the given label of a pixel, and of each other label.
    constants : CrfConstants

    Returns
    -------
    ndarray, (H * W,), int64
    """
    given = torch.from_numpy(labels.astype(np.int64))
    right, wrong = (torch.tensor(energy, dtype=torch.float32) for energy in energies)

    def energy(first: int, end: int) -> Tensor:
        return torch.where(given == torch.arange(first, end)[:, None], right, wrong)

    picture = torch.from_numpy(np.ascontiguousarray(image).copy())
    beliefs = _mean_field(picture, energy, num_labels, constants)
    return torch.cat([beliefs[:, block].argmax(0) for block in pixel_blocks(*beliefs.shape)]).numpy()


def _mean_field(
    image: Tensor, energy: Callable[[int, int], Tensor], num_labels: int, constants: CrfConstants
) -> Tensor:
    """Probabilities (L, H * W), float32. `energy`: labels from first to before end -> their unary energy, (., H * W).

    It takes one float per label and pixel, the lattices, and the buffers of one group of labels.
    """
    height, width = image.shape[:2]
    device = image.device
    rows, columns = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    position = torch.stack([columns, rows], dim=2).flatten(0, 1).double()
    near = torch.cat([position / constants.bilateral_sxy, image.flatten(0, 1) / constants.bilateral_srgb], dim=1)
    terms = []
    for weight, features in (
        (constants.gaussian_compat, position / constants.gaussian_sxy),
        (constants.bilateral_compat, near),
    ):
        lattice = PermutohedralLattice(features)
        norm = 1 / (lattice.filter(torch.ones(1, height * width, device=device)) + 1e-20).sqrt()
        terms.append((weight, lattice, norm))
    del position, near
    group = group_size(num_labels, 2 * height * width)  # the lattice takes more buffers here than in pydensecrf
    groups = [(first, min(first + group, num_labels)) for first in range(0, num_labels, group)]
    values = torch.empty(num_labels, height * width, device=device)  # exponents of the softmax, then probabilities
    for first, end in groups:
        values[first:end] = -energy(first, end)
    _softmax_in_place(values)
    for _ in range(constants.iterations):
        for first, end in groups:  # the messages of a label depend on its own probabilities alone
            messages = sum(weight * norm * lattice.filter(norm * values[first:end]) for weight, lattice, norm in terms)
            values[first:end] = messages - energy(first, end)
        _softmax_in_place(values)
    return values


def _softmax_in_place(values: Tensor) -> None:
    for block in pixel_blocks(*values.shape):
        values[:, block] = values[:, block].softmax(0)
