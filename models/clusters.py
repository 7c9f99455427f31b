"""Groups of alike superpixels over all images, without tags, and the classes that an evaluation matches to them.

The outlook of S. Kim, SNU 2022 (chapter 4) names unsupervised segmentation by superpixels and gives no algorithm. This
is the plain one: k-means of the mean keys of superpixels.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from scipy.cluster.vq import kmeans2, vq
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from models.label_values import UNLABELLED
from models.superpixel_cells import cell_features

ITERATIONS = 50
"""Of one k-means. It has settled by then on some ten thousand superpixels."""


class Clusters(NamedTuple):
    """Groups of keys.

    Attributes
    ----------
    mean : ndarray, (D,), float32
        Mean of all keys, which is subtracted from a key before it gets the length 1 again.
    centres : ndarray, (C, D), float32
        Centre of each cluster.
    """

    mean: np.ndarray
    centres: np.ndarray


def superpixel_keys(keys: Tensor, superpixels: Tensor) -> Tensor:
    """Mean key of the pixels of each superpixel, of length 1.

    Parameters
    ----------
    keys : Tensor, (h, w, D), float
        One vector per patch.
    superpixels : Tensor, (H, W), int64
        Numbered from 0 without gaps.

    Returns
    -------
    Tensor, (number of superpixels, D), float32

    Examples
    --------
    >>> import torch
    >>> keys = torch.tensor([[[3.0, 0.0], [0.0, 2.0]]])
    >>> superpixel_keys(keys, torch.tensor([[0, 1]])).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return F.normalize(cell_features(keys, superpixels), dim=1)


def k_means(features: np.ndarray, count: int, seed: int, restarts: int = 10) -> np.ndarray:
    """Centres of k-means (Lloyd, 1982) that begins at k-means++ (Arthur and Vassilvitskii, 2007), by SciPy.

    Parameters
    ----------
    features : ndarray, (N, D), float
    count : int
        Number of clusters.
    seed : int
    restarts : int
        Number of beginnings. The result with the least sum of squared distances is returned.

    Returns
    -------
    ndarray, (count, D), of the type of `features`

    Raises
    ------
    ValueError
        If fewer than `count` of the features differ.

    Examples
    --------
    >>> k_means(np.array([[0.0], [1.0], [9.0], [11.0]]), 2, seed=0)[:, 0].round(1).tolist()
    [0.5, 10.0]
    """
    distinct = len(np.unique(features, axis=0))
    if distinct < count:
        raise ValueError(f"{distinct} different features cannot be {count} clusters")
    rng = np.random.default_rng(seed)
    best, least = features[:count], np.inf
    for _ in range(restarts):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a cluster that loses all its members keeps its centre
            centres, _ = kmeans2(features, count, ITERATIONS, minit="++", rng=rng)
        total = float(np.square(vq(features, centres)[1]).sum())
        if total < least:
            best, least = centres, total
    return best[np.lexsort(best.T[::-1])]  # in an order that does not depend on chance


def nearest_centre(features: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Index of the centre with the least distance from each of the features, (N,) int64.

    Examples
    --------
    >>> nearest_centre(np.array([[0.2], [0.9]]), np.array([[0.0], [1.0]])).tolist()
    [0, 1]
    """
    return vq(features, centres)[0].astype(np.int64)


def learn_clusters(keys: np.ndarray, count: int, seed: int, restarts: int = 10) -> Clusters:
    """Clusters of keys by `k_means`.

    The features of a CNN are positive after their activation, so all of them are alike. What differs from the mean of
    all keys tells them apart (as in `models.features.centre`). It gets the length 1, so that k-means compares cosines.

    Parameters
    ----------
    keys : ndarray, (N, D), float32
        From `superpixel_keys`.
    count, seed, restarts
        As in `k_means`.

    Raises
    ------
    ValueError
        If fewer than `count` of the keys differ.
    """
    mean = keys.mean(0) if len(keys) else np.zeros(keys.shape[1], keys.dtype)
    return Clusters(mean, k_means(_directions(keys, mean), count, seed, restarts))


def assign_clusters(keys: np.ndarray, clusters: Clusters) -> np.ndarray:
    """The cluster of each of the keys (N, D), numbered from 0, (N,) int64.

    Examples
    --------
    >>> clusters = Clusters(np.array([1.0, 1.0]), np.array([[0.0, 1.0], [1.0, 0.0]]))
    >>> assign_clusters(np.array([[1.1, 1.0], [0.9, 3.0]]), clusters).tolist()
    [1, 0]
    """
    return nearest_centre(_directions(keys, clusters.mean), clusters.centres)


def _directions(keys: np.ndarray, mean: np.ndarray) -> np.ndarray:
    different = keys - mean
    length = np.linalg.norm(different, axis=1, keepdims=True)
    return different / np.where(length > 0, length, 1)


def match_clusters(counts: np.ndarray) -> np.ndarray:
    """The class of each cluster, by Hungarian matching: at most one cluster a class, with the highest mean IoU of all.

    With the cluster c of a class j, IoU_j = n_jc / (n_j + n_c - n_jc), where n counts the pixels of the class, of the
    cluster and of both. It does not depend on the other clusters, so the sum over the classes is what is assigned.

    Parameters
    ----------
    counts : ndarray, (K+1, C), integer
        Pixels of each class and cluster.

    Returns
    -------
    ndarray, (C,), uint16
        65535 for a cluster without a class: there are more clusters than classes.

    Examples
    --------
    >>> match_clusters(np.array([[5, 90, 2], [9, 10, 0]])).tolist()
    [1, 0, 65535]
    """
    both = counts.astype(np.float64)
    union = both.sum(1, keepdims=True) + both.sum(0, keepdims=True) - both
    classes, clusters = linear_sum_assignment(both / np.maximum(union, 1), maximize=True)
    found = np.full(counts.shape[1], UNLABELLED, np.uint16)
    found[clusters] = classes
    return found
