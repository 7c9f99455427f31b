"""Small cells as units of superpixel discovery, instead of square patches: their borders have pixel resolution."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from skimage.color import rgb2lab
from skimage.measure import label
from skimage.segmentation import slic
from torch import Tensor

from models.depth_segments import Surfaces
from models.features import centre
from models.superpixels import discover_by_affinity

ITERATIONS = 5
"""Of SLIC. The superpixels of ten iterations have the same quality (docs/superpixels.md)."""

COLOUR_SCALE = 20.0
"""CIELAB distance of clearly different colours; from 24 on their similarity is negative."""

SMALLEST = 0.3
"""Share of the mean area of a cell below which a piece of a cell is merged into a neighbour."""


def slic_cells(image: np.ndarray, segments: np.ndarray, count: int, compactness: float = 10.0) -> np.ndarray:
    """SLIC superpixels (Achanta et al., 2012), cut at the borders of segments. Each cell is connected.

    Pieces that are too small are merged into a neighbour of their segment. So a segment has at least one cell, and
    about its share by area.

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8
    segments : ndarray, (H, W), integer from 0
    count : int
        Approximate number of cells in the image.
    compactness : float
        Weight of distance against colour.

    Returns
    -------
    ndarray, (H, W), int64
        Numbered from 0 without gaps.

    Examples
    --------
    >>> image, segments = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.int64)
    >>> segments[:, 4:] = 1
    >>> slic_cells(image, segments, count=2)[0].tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]
    """
    # One call for the image: a call per segment, with the segment as mask, takes several times as long.
    # sigma: on pure noise the cells would be tiny fragments. float32 takes half of the memory of float64.
    clusters = slic(
        image.astype(np.float32), count, compactness, ITERATIONS, sigma=1, enforce_connectivity=False, start_label=0
    )
    pieces = label(clusters * (int(segments.max()) + 1) + segments, background=-1, connectivity=1) - 1
    return merge_fragments(pieces, segments, smallest=SMALLEST * segments.size / count)


def merge_fragments(pieces: np.ndarray, segments: np.ndarray, smallest: float) -> np.ndarray:
    """Merge small pieces, the smallest first, into the neighbour in the same segment with the longest common border.

    Parameters
    ----------
    pieces : ndarray, (H, W), integer
        Numbered from 0 without gaps. None crosses the border of a segment.
    segments : ndarray, (H, W), integer
    smallest : float
        Pieces with fewer pixels are merged. They stay if they have no neighbour in their segment.

    Returns
    -------
    ndarray, (H, W), int64
        Numbered from 0 without gaps.

    Examples
    --------
    >>> pieces = np.array([[0, 0, 0, 1, 2, 3, 3]])
    >>> merge_fragments(pieces, segments=np.array([[0, 0, 0, 0, 1, 1, 1]]), smallest=2).tolist()
    [[0, 0, 0, 0, 1, 1, 1]]
    """
    count = int(pieces.max()) + 1
    sizes = np.bincount(pieces.ravel(), minlength=count)
    borders = _common_borders(pieces, segments, sizes < smallest)
    merged_into = np.arange(count)
    for piece in np.argsort(sizes, kind="stable").tolist():
        if sizes[piece] >= smallest or not borders.get(piece):
            continue
        neighbours = borders.pop(piece)
        target = max(neighbours, key=lambda other: (neighbours[other], -other))
        merged_into[piece] = target
        sizes[target] += sizes[piece]
        for other, length in neighbours.items():
            del borders[other][piece]
            if other != target:
                borders[other][target] = borders[target][other] = borders[target].get(other, 0) + length
    for _ in range(count.bit_length()):  # a piece may be merged into one that is merged later
        merged_into = merged_into[merged_into]
    return np.unique(merged_into, return_inverse=True)[1][pieces]


def _common_borders(pieces: np.ndarray, segments: np.ndarray, small: np.ndarray) -> dict[int, dict[int, int]]:
    """Length of the border between neighbours in one segment, if one of the two is small: piece -> other -> pixels."""
    pairs = []
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        touching = (pieces[here] != pieces[there]) & (segments[here] == segments[there])
        touching &= small[pieces[here]] | small[pieces[there]]
        one, other = pieces[here][touching], pieces[there][touching]
        pairs.append(np.minimum(one, other) * len(small) + np.maximum(one, other))
    found, lengths = np.unique(np.concatenate(pairs), return_counts=True)
    borders: dict[int, dict[int, int]] = {}
    for pair, length in zip(found.tolist(), lengths.tolist(), strict=True):
        first, second = divmod(pair, len(small))
        borders.setdefault(first, {})[second] = length
        borders.setdefault(second, {})[first] = length
    return borders


def cell_features(keys: Tensor, cells: Tensor) -> Tensor:
    """Mean feature of the pixels of each cell.

    Parameters
    ----------
    keys : Tensor, (h, w, D)
        One vector per patch. They are enlarged to the image (bilinear).
    cells : Tensor, (H, W), int64
        Numbered from 0 without gaps.

    Returns
    -------
    Tensor, (number of cells, D)
    """
    height, width = cells.shape
    rows, columns, dim = keys.shape
    count = int(cells.max()) + 1
    # Weight of each patch in each cell: each pixel adds its bilinear weights of four patches.
    y = ((torch.arange(height) + 0.5) * rows / height - 0.5).clamp(0, rows - 1)
    x = ((torch.arange(width) + 0.5) * columns / width - 0.5).clamp(0, columns - 1)
    top, left = y.floor().long(), x.floor().long()
    down, right = y - top, x - left
    shares = torch.zeros(count, rows * columns)
    for row, vertical in ((top, 1 - down), ((top + 1).clamp(max=rows - 1), down)):
        for column, horizontal in ((left, 1 - right), ((left + 1).clamp(max=columns - 1), right)):
            place = (cells * (rows * columns) + row[:, None] * columns + column[None]).flatten()
            shares.view(-1).index_add_(0, place, (vertical[:, None] * horizontal[None]).flatten())
    shares = shares / shares.sum(1, keepdim=True)
    return shares @ keys.reshape(-1, dim).to(shares.dtype)


def cell_colours(image: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Mean CIELAB colour of the pixels of each cell.

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8
    cells : ndarray, (H, W), int64
        Numbered from 0 without gaps.

    Returns
    -------
    ndarray, (number of cells, 3), float64
    """
    colours, counts = rgb2lab(image.astype(np.float32) / 255), np.bincount(cells.ravel())
    sums = [np.bincount(cells.ravel(), colours[..., channel].ravel()) for channel in range(3)]
    return np.stack(sums, axis=1) / counts[:, None]


def cell_affinity(
    features: Tensor,
    colours: Tensor,
    segment: Tensor,
    depth_weight: float,
    colour_weight: float,
    on_plane: Tensor | None = None,
) -> Tensor:
    """Affinity of cells from features, colour and depth: A = (1 - w) ((1 - c) F + c C) + w S.

    F is the cosine similarity of features, as in eq. 3.1. C = 2 exp(-d^2 / (2 s^2)) - 1 compares mean colours, with
    their distance d in CIELAB and s = `COLOUR_SCALE`. S is 1 for cells of the same depth segment and -1 for others.
    With w = c = 0 it is eq. 3.1. With the defaults, cells of two segments never join.
    Two cells on the support plane are compared without lightness: a shadow on a table is table.

    Parameters
    ----------
    features : Tensor, (N, D)
    colours : Tensor, (N, 3)
        CIELAB.
    segment : Tensor, (N,), integer
        Depth segment of each cell.
    depth_weight, colour_weight : float in [0, 1]
        w and c.
    on_plane : Tensor, (N,), bool, optional
        Cells that lie on the support plane.

    Returns
    -------
    Tensor, (N, N), float32 in [-1, 1]

    Examples
    --------
    >>> import torch
    >>> same, segments = torch.ones(3, 1), torch.tensor([0, 0, 1])
    >>> cell_affinity(same, torch.zeros(3, 3), segments, depth_weight=0.75, colour_weight=0.5)[0].tolist()
    [1.0, 1.0, -0.5]
    """
    unit = F.normalize(features, dim=1)
    affinity = unit @ unit.T
    if colour_weight:
        seen = colours.to(unit.dtype)
        apart = torch.cdist(seen, seen)
        if on_plane is not None:
            apart = torch.where(on_plane[:, None] & on_plane, torch.cdist(seen[:, 1:], seen[:, 1:]), apart)
        alike = 2 * torch.exp(-apart.square() / (2 * COLOUR_SCALE**2)) - 1
        affinity = (1 - colour_weight) * affinity + colour_weight * alike
    same = (segment[:, None] == segment[None]).to(unit.dtype) * 2 - 1
    return (1 - depth_weight) * affinity + depth_weight * same


def discover_on_cells(
    image: np.ndarray,
    keys: Tensor,
    surfaces: Surfaces,
    count: int,
    depth_weight: float,
    colour_weight: float,
    tau: float,
    seed_rule: str = "lowest",
    centred: bool = False,
) -> np.ndarray:
    """Superpixel discovery (eq. 3.1) on cells, with colour and depth in the affinity.

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8
    keys : Tensor, (h, w, D)
    surfaces : Surfaces
        From `models.depth_segments.surfaces_of`; all 0 without depth.
    count : int
        Approximate number of cells.
    depth_weight, colour_weight : float
        As in `cell_affinity`.
    tau, seed_rule
        As in `models.superpixels.discover_superpixels`.
    centred : bool
        Subtract the mean over the cells first (`models.features.centre`).

    Returns
    -------
    ndarray, (H, W), int64
        Numbered in order of discovery.
    """
    cells = slic_cells(image, surfaces.segments, count)
    pixels = np.bincount(cells.ravel())
    features = cell_features(keys, torch.from_numpy(cells))
    if centred:
        features = centre(features[None])[0]
    segment = np.zeros(len(features), np.int64)
    segment[cells.ravel()] = surfaces.segments.ravel()
    flat = torch.from_numpy(np.bincount(cells.ravel(), surfaces.on_plane.ravel()) > pixels / 2)
    colours = torch.from_numpy(cell_colours(image, cells))
    affinity = cell_affinity(features, colours, torch.from_numpy(segment), depth_weight, colour_weight, flat)
    return discover_by_affinity(affinity[None], tau, seed_rule)[0].numpy()[cells]
