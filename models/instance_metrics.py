"""Class-agnostic scores of instances by the protocol of unseen object instance segmentation (UOIS).

Xie, Xiang, Mousavian and Fox: "Unseen Object Instance Segmentation for Robotic Environments", T-RO 2021 (UOIS-Net-3D),
section VI; Xiang, Xie, Mousavian and Fox: "Learning RGB-D Feature Embeddings for Unseen Object Instance Segmentation",
CoRL 2020 (UCN), section 4. Each image is scored alone. A set has the mean of its images.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from skimage.morphology import disk

BOUNDARY_SHARE = 0.003
"""Tolerance of a boundary, as a share of the diagonal of the image."""

DETECTED = 0.75
"""F of a pair from which the object counts as found."""


class UnseenScores(NamedTuple):
    """Scores of one image, each from 0 to 1: precision, recall and F of areas and boundaries, share of objects found.

    ``found`` is NaN if the image has no object.
    """

    overlap_precision: float
    overlap_recall: float
    overlap_f: float
    boundary_precision: float
    boundary_recall: float
    boundary_f: float
    found: float


def unseen_scores(predicted: np.ndarray, truth: np.ndarray, scored: np.ndarray | None = None) -> UnseenScores:
    """Overlap and boundary scores of one image.

    With c_i the predicted masks, g_j the true ones, and g(c_i) the true mask that the Hungarian method gives to c_i
    (largest sum of the F of pairs): P = sum_i |c_i and g(c_i)| / sum_i |c_i|, R = sum_i |c_i and g(c_i)| / sum_j |g_j|,
    F = 2 P R / (P + R). Boundaries: the same sums over boundary pixels, where a pixel agrees if the other boundary is
    within 0.3 % of the diagonal. If nothing is predicted, P is 1; if there is no object, R is 1.

    Parameters
    ----------
    predicted, truth : ndarray, (H, W), integer
        Instance numbers, 0 = none.
    scored : ndarray, (H, W), bool, optional
        The other pixels count as if they had no instance in both.

    Returns
    -------
    UnseenScores

    Examples
    --------
    >>> truth = np.array([[1, 1, 0, 2, 2, 2]])
    >>> unseen_scores(np.array([[1, 1, 0, 2, 2, 0]]), truth).overlap_recall
    0.8
    """
    if scored is not None:
        predicted, truth = np.where(scored, predicted, 0), np.where(scored, truth, 0)
    found, true = (np.unique(ids[ids > 0]) for ids in (predicted, truth))
    areas_found = np.array([np.count_nonzero(predicted == number) for number in found])
    areas_true = np.array([np.count_nonzero(truth == number) for number in true])
    common = np.array([[np.count_nonzero((predicted == c) & (truth == g)) for g in true] for c in found])
    common = common.reshape(len(found), len(true))
    pair_f = 2 * common / (areas_found[:, None] + areas_true[None]) if common.size else np.zeros(common.shape)
    pairs = linear_sum_assignment(-pair_f)
    overlap = _f(common[pairs].sum(), common[pairs].sum(), areas_found.sum(), areas_true.sum())
    found_borders, true_borders = _boundaries(predicted, found), _boundaries(truth, true)
    near_found, near_true = _near(found_borders), _near(true_borders)
    matched = [(int(i), int(j)) for i, j in zip(*pairs, strict=True)]
    agreeing = _pixels(found_borders[i] & near_true[j] for i, j in matched)
    met = _pixels(true_borders[j] & near_found[i] for i, j in matched)
    boundary = _f(agreeing, met, _pixels(found_borders), _pixels(true_borders))
    share = float((pair_f[pairs] > DETECTED).sum() / len(true)) if len(true) else float("nan")
    return UnseenScores(*overlap, *boundary, share)


def _f(right: float, met: float, predicted: float, true: float) -> tuple[float, float, float]:
    precision = float(right / predicted) if predicted else 1.0
    recall = float(met / true) if true else 1.0
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _pixels(masks: Iterable[np.ndarray]) -> int:
    return sum(int(mask.sum()) for mask in masks)


def _boundaries(numbers: np.ndarray, ids: np.ndarray) -> list[np.ndarray]:
    return [boundary_pixels(numbers == number) for number in ids]


def _near(boundaries: list[np.ndarray]) -> list[np.ndarray]:
    if not boundaries:
        return []
    radius = int(np.ceil(BOUNDARY_SHARE * np.hypot(*boundaries[0].shape)))
    return [ndimage.binary_dilation(boundary, disk(radius)) for boundary in boundaries]


def boundary_pixels(mask: np.ndarray) -> np.ndarray:
    """Pixels that differ from the next one to the right, below, or right and below (as DAVIS and UOIS do).

    Examples
    --------
    >>> boundary_pixels(np.array([[False, True, True, False]])).astype(int).tolist()
    [[1, 0, 1, 0]]
    """
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    return (mask != padded[:-1, 1:]) | (mask != padded[1:, :-1]) | (mask != padded[1:, 1:])
