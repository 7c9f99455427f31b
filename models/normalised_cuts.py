"""Superpixels by repeated normalised cuts, the ablation of S. Kim, SNU 2022, section 3.4.3 (eqs. 3.13 to 3.15)."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

EPSILON = 1e-5
"""Weight of two units that are not alike. The paper says "small"; this is the value of TokenCut (CVPR 2022)."""


def discover_by_cuts(affinity: Tensor, tau: float) -> Tensor:
    """Partition the units of one image: cut those that are left in two, keep the smaller part as a superpixel, repeat.

    W_pq = 1 if A_pq > tau, else epsilon (3.13), and D_pp = sum_q W_pq (3.14). y is the eigenvector of the second
    smallest eigenvalue of (D - W) y = lambda D y (3.15). The units where y is above its mean are one part, the others
    are the other part. The smaller part is the next superpixel.

    The paper leaves two things open. Of two parts of the same size, that with the first unit is taken. If the units
    left are all alike, or if no two of them are alike, then all cuts have the same value and y is arbitrary: they are
    not cut, but become one superpixel or one superpixel each.

    Parameters
    ----------
    affinity : Tensor, (N, N), float, symmetric
        Cosine similarities of all pairs (eq. 3.1).
    tau : float

    Returns
    -------
    Tensor, (N,), int64
        Superpixel of each unit, numbered in order of discovery. The time grows with N^3 for each of them.

    Examples
    --------
    >>> import torch
    >>> features = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.8, 0.1], [0.0, 1.0], [-0.1, 0.9]])
    >>> unit = torch.nn.functional.normalize(features, dim=1)
    >>> discover_by_cuts(unit @ unit.T, tau=0.3).tolist()
    [1, 1, 1, 0, 0]
    """
    alike = (affinity > tau).cpu().numpy()
    np.fill_diagonal(alike, True)  # a unit without features is like itself, too
    labels = np.full(len(alike), -1)
    left, number = np.arange(len(alike)), 0
    while len(left):
        part = smaller_part(alike[np.ix_(left, left)])
        labels[left[part]] = number
        left, number = left[~part], number + 1
    return torch.from_numpy(labels).to(affinity.device)


def smaller_part(alike: np.ndarray) -> np.ndarray:
    """The smaller side of the normalised cut of units, (N, N) bool -> (N,) bool; see `discover_by_cuts`.

    Examples
    --------
    >>> smaller_part(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], bool)).tolist()
    [False, False, True]
    """
    count = len(alike)
    links = int(alike.sum()) - count
    if links == count * (count - 1):
        return np.ones(count, bool)
    if links == 0:
        return np.arange(count) == 0
    weights = np.where(alike, 1.0, EPSILON)
    degrees = np.diag(weights.sum(1))
    _, vectors = scipy.linalg.eigh(degrees - weights, degrees, subset_by_index=[1, 1])
    vector = vectors[:, 0] - vectors[:, 0].mean()
    # The sign of an eigenvector is arbitrary, and equal values differ by rounding errors.
    vector *= np.sign(vector[np.argmax(np.round(np.abs(vector) / np.abs(vector).max(), 6))])
    above = vector > 1e-9 * np.abs(vector).max()
    size = int(above.sum())
    smaller = size < count - size or (2 * size == count and bool(above[0]))
    return above if smaller else ~above
