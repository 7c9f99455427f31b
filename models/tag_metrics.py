"""How well a classifier finds the tags of images: mean average precision and F1."""

from __future__ import annotations

import numpy as np


def average_precision(scores: np.ndarray, present: np.ndarray) -> float:
    """Average precision of one class: sum_n (R_n - R_n-1) P_n over the different scores, from the highest down.

    P_n and R_n are precision and recall if all images with at least the n-th score are positive. This is the area under
    the curve without interpolation, as in scikit-learn.

    Parameters
    ----------
    scores : ndarray, (N,), float
    present : ndarray, (N,), bool

    Returns
    -------
    float
        NaN if the class is present in no image.

    Examples
    --------
    >>> round(average_precision(np.array([0.9, 0.8, 0.1]), np.array([True, False, True])), 4)
    0.8333
    """
    if not present.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    last_of_score = np.append(np.diff(scores[order]) != 0, True)
    found = np.cumsum(present[order])[last_of_score]
    shown = np.flatnonzero(last_of_score) + 1
    return float(np.sum(np.diff(found, prepend=0) * found / shown) / present.sum())


def tag_metrics(logits: np.ndarray, tags: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """Scores of a multi-label classifier in [0, 1].

    A class is predicted if sigmoid(z) > threshold (S. Kim, SNU 2022, eq. 1.2).

    Parameters
    ----------
    logits : ndarray, (N, K), float
    tags : ndarray, (N, K), bool
    threshold : float

    Returns
    -------
    dict with keys map, f1_micro, f1_macro
        ``map`` and ``f1_macro`` are means over the classes that some image has. F1 = 2 TP / (2 TP + FP + FN); for
        ``f1_micro``, the counts are summed over the classes before. NaN where there is nothing to count.

    Examples
    --------
    >>> logits, tags = np.array([[2.0, -1.0], [-3.0, 1.0]]), np.array([[True, False], [False, False]])
    >>> {name: round(value, 3) for name, value in tag_metrics(logits, tags).items()}
    {'map': 1.0, 'f1_micro': 0.667, 'f1_macro': 1.0}
    """
    predicted = logits > np.log(threshold / (1 - threshold))
    hits, either = (predicted & tags).sum(0), predicted.sum(0) + tags.sum(0)
    shown = tags.any(0)
    if not shown.any():
        return {"map": float("nan"), "f1_micro": float("nan"), "f1_macro": float("nan")}
    precisions = [average_precision(logits[:, k], tags[:, k]) for k in np.flatnonzero(shown)]
    return {
        "map": float(np.mean(precisions)),
        "f1_micro": float(2 * hits.sum() / either.sum()),
        "f1_macro": float(np.mean(2 * hits[shown] / either[shown])),
    }
