"""How well superpixels follow object borders (S. Kim, SNU 2022, eqs. 3.9 to 3.12), and the best labels they allow."""

from __future__ import annotations

import numpy as np

from models.label_values import UNLABELLED
from models.metrics import grow_disk, region_boundary
from models.superpixel_contours import contours
from models.unlabelled_bands import nearer_than_2, without_bands

COUNTS = (
    "pixels", "undersegmented", "achievable",
    "true_contour", "recalled", "contour", "precise",
    "true_border", "near_border", "border", "near_truth",
    "superpixels",
)  # fmt: skip
"""Names of what `superpixel_counts` returns, in order."""


def overlap(truth: np.ndarray, superpixels: np.ndarray) -> np.ndarray:
    """|S_k n G_i|: number of pixels of each superpixel k in each true class i.

    Parameters
    ----------
    truth : ndarray, (H, W), integer
        Pixels of 65535 do not count.
    superpixels : ndarray, (H, W), integer from 0

    Returns
    -------
    ndarray, (superpixels, classes), int64
        Classes are those of the truth, sorted.

    Examples
    --------
    >>> overlap(np.array([[4, 4, 9, 65535]]), np.array([[0, 1, 1, 1]])).tolist()
    [[1, 0], [1, 1]]
    """
    counted = truth != UNLABELLED
    classes, columns = np.unique(truth[counted], return_inverse=True)
    rows = superpixels[counted].astype(np.int64)
    shape = (int(superpixels.max()) + 1, len(classes))
    return np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)


def superpixel_counts(truth: np.ndarray, superpixels: np.ndarray, tolerance: int = 2) -> np.ndarray:
    """Counts of one image, from which `superpixel_scores` computes scores. They add up over a split.

    Parameters
    ----------
    truth : ndarray, (H, W), integer
        Pixels of 65535 do not count for UE and ASA. A thin band of them is a border, in its middle. A contour or a
        border, of the truth or of superpixels, does not count within a larger area of them (`without_bands`) and at
        its 8-neighbours.
    superpixels : ndarray, (H, W), integer from 0
    tolerance : int
        Largest Euclidean distance in pixels between borders that match, for the two-sided borders. For the contours
        of eqs. 3.10 and 3.11 it must be below 2.

    Returns
    -------
    ndarray, (12,), int64
        In the order of `COUNTS`.
    """
    labelled = truth != UNLABELLED
    if not labelled.any():
        return np.zeros(len(COUNTS), np.int64)
    shared = overlap(truth, superpixels)
    outside = shared.sum(1, keepdims=True) - shared
    labels, void = without_bands(truth)
    counted = ~nearer_than_2(void)
    true_contour, contour, true_border, border = (
        found & ~void
        for found in (contours(labels), contours(superpixels), region_boundary(labels), region_boundary(superpixels))
    )
    return np.array(
        [
            labelled.sum(),
            np.minimum(shared, outside).sum(),
            shared.max(1).sum(),
            (true_contour & counted).sum(),
            (true_contour & counted & nearer_than_2(contour)).sum(),
            (contour & counted).sum(),
            (contour & counted & nearer_than_2(true_contour)).sum(),
            (true_border & counted).sum(),
            (true_border & counted & grow_disk(border, tolerance)).sum(),
            (border & counted).sum(),
            (border & counted & grow_disk(true_border, tolerance)).sum(),
            (shared.sum(1) > 0).sum(),
        ],
        np.int64,
    )


def superpixel_scores(counts: np.ndarray) -> dict[str, float]:
    """Scores in [0, 1] from summed `superpixel_counts`.

    UE = sum_i sum_k min(|S_k n G_i|, |S_k - G_i|) / sum_i |G_i| (undersegmentation error, lower is better).
    ASA = sum_k max_i |S_k n G_i| / sum_i |G_i| (achievable segmentation accuracy).
    BR = share of the pixels of true contours with a pixel of a superpixel contour nearer than 2 (boundary recall).
    BP = share of the pixels of superpixel contours with a pixel of a true contour nearer than 2 (boundary precision).
    The paper takes contours from OpenCV and does not name the function; here they are `contours`, one pixel wide.
    The equations are those of one image; of a split, the counts are added first. What unlabelled pixels do to BR and
    BP is not in the paper (`superpixel_counts`).

    border_recall and border_precision are our own form of BR and BP: a border has the pixels on both of its sides, and
    a distance equal to the tolerance matches, too. So they are higher.

    Returns
    -------
    dict with keys ue, asa, br, bp, border_recall, border_precision
        NaN where there is nothing to count.

    Examples
    --------
    >>> truth, superpixels = np.array([[0, 0, 0, 1, 1, 1]] * 2), np.array([[0, 0, 0, 0, 1, 1]] * 2)
    >>> scores = superpixel_scores(superpixel_counts(truth, superpixels))
    >>> {name: round(score, 2) for name, score in scores.items()}
    {'ue': 0.33, 'asa': 0.83, 'br': 1.0, 'bp': 1.0, 'border_recall': 1.0, 'border_precision': 1.0}
    """
    of = dict(zip(COUNTS, (int(count) for count in counts), strict=True))

    def share(part: str, whole: str) -> float:
        return of[part] / of[whole] if of[whole] else float("nan")

    return {
        "ue": share("undersegmented", "pixels"),
        "asa": share("achievable", "pixels"),
        "br": share("recalled", "true_contour"),
        "bp": share("precise", "contour"),
        "border_recall": share("near_border", "true_border"),
        "border_precision": share("near_truth", "border"),
    }


def best_labels(truth: np.ndarray, superpixels: np.ndarray) -> np.ndarray:
    """The best label map that superpixels allow: each superpixel gets its most frequent true class.

    Parameters
    ----------
    truth : ndarray, (H, W), integer
        Pixels of 65535 do not count.
    superpixels : ndarray, (H, W), integer from 0

    Returns
    -------
    ndarray, (H, W), uint16
        65535 in a superpixel without a counted pixel.

    Examples
    --------
    >>> best_labels(np.array([[1, 1, 2, 2, 65535]]), np.array([[0, 0, 0, 1, 2]])).tolist()
    [[1, 1, 1, 2, 65535]]
    """
    counted = truth != UNLABELLED
    chosen = np.full(int(superpixels.max()) + 1, UNLABELLED, np.uint16)
    if counted.any():
        shared = overlap(truth, superpixels)
        classes = np.unique(truth[counted])
        filled = shared.sum(1) > 0
        chosen[filled] = classes[shared[filled].argmax(1)]
    return chosen[superpixels]
