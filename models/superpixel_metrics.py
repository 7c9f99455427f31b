"""How well superpixels respect objects (S. Kim, SNU 2022, eqs. 3.9 to 3.12), and the best labels they allow."""

from __future__ import annotations

import numpy as np

from models.metrics import UNLABELLED, grow_disk, region_boundary

COUNTS = ("pixels", "undersegmented", "achievable", "true_boundary", "recalled", "boundary", "precise", "superpixels")
"""What `superpixel_counts` gives, in order; sums over images."""


def overlap(truth: np.ndarray, superpixels: np.ndarray) -> np.ndarray:
    """|S_k n G_i|: pixels of each superpixel (row, by number) and true class (column, as in ``np.unique``).

    Parameters
    ----------
    truth : ndarray, (H, W), integer; pixels of 255 are left out
    superpixels : ndarray, (H, W), integer from 0
    """
    counted = truth != UNLABELLED
    classes, columns = np.unique(truth[counted], return_inverse=True)
    rows = superpixels[counted].astype(np.int64)
    shape = (int(superpixels.max()) + 1, len(classes))
    return np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)


def superpixel_counts(truth: np.ndarray, superpixels: np.ndarray, tolerance: int = 2) -> np.ndarray:
    """The counts of one image from which `superpixel_scores` makes scores; they add up over a split.

    Parameters
    ----------
    truth : ndarray, (H, W), integer; where it is 255 nothing counts
    superpixels : ndarray, (H, W), integer from 0
    tolerance : int
        Pixels (Euclidean) within which two boundaries meet.

    Returns
    -------
    ndarray, (8,), int64, as named by `COUNTS`
    """
    counted = truth != UNLABELLED
    if not counted.any():
        return np.zeros(len(COUNTS), np.int64)
    shared = overlap(truth, superpixels)
    outside = shared.sum(1, keepdims=True) - shared
    true_boundary, boundary = region_boundary(truth) & counted, region_boundary(superpixels) & counted
    return np.array(
        [
            counted.sum(),
            np.minimum(shared, outside).sum(),
            shared.max(1).sum(),
            true_boundary.sum(),
            (true_boundary & grow_disk(boundary, tolerance)).sum(),
            boundary.sum(),
            (boundary & grow_disk(true_boundary, tolerance)).sum(),
            (shared.sum(1) > 0).sum(),
        ],
        np.int64,
    )


def superpixel_scores(counts: np.ndarray) -> dict[str, float]:
    """Scores in [0, 1] from summed `superpixel_counts`.

    UE = sum_i sum_k min(|S_k n G_i|, |S_k - G_i|) / sum_i |G_i| (undersegmentation error, lower is better);
    ASA = sum_k max_i |S_k n G_i| / sum_i |G_i| (achievable segmentation accuracy);
    BR = share of true boundary pixels with a superpixel boundary near (recall), BP the reverse (precision).
    """
    of = dict(zip(COUNTS, (int(count) for count in counts), strict=True))

    def share(part: str, whole: str) -> float:
        return of[part] / of[whole] if of[whole] else float("nan")

    return {
        "ue": share("undersegmented", "pixels"),
        "asa": share("achievable", "pixels"),
        "br": share("recalled", "true_boundary"),
        "bp": share("precise", "boundary"),
    }


def best_labels(truth: np.ndarray, superpixels: np.ndarray) -> np.ndarray:
    """The label map nearest to the truth that the superpixels allow: each takes its most frequent true class.

    Returns
    -------
    ndarray, (H, W), the truth's dtype; a superpixel without a counted pixel becomes 255
    """
    counted = truth != UNLABELLED
    chosen = np.full(int(superpixels.max()) + 1, UNLABELLED, truth.dtype)
    if counted.any():
        shared = overlap(truth, superpixels)
        classes = np.unique(truth[counted])
        filled = shared.sum(1) > 0
        chosen[filled] = classes[shared[filled].argmax(1)]
    return chosen[superpixels]
