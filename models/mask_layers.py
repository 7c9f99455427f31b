"""Masks that may overlap become one map of instances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def flattened(
    masks: Sequence[np.ndarray], scores: np.ndarray, shape: tuple[int, int], visible: float, smallest: float
) -> tuple[np.ndarray, np.ndarray]:
    """One instance per pixel: masks with a higher score cover the others.

    Parameters
    ----------
    masks : sequence of ndarray, (H, W), bool
    scores : ndarray, (N,), float
    shape : (height, width)
    visible : float
        Masks of which a smaller share is left are left out.
    smallest : float
        Masks with fewer pixels left are left out.

    Returns
    -------
    instances : ndarray, (H, W), int64
        1..M without gaps in the order of the scores, 0 = none.
    scores : ndarray, (M,), float64

    Examples
    --------
    >>> masks = [np.array([[True, True, False]]), np.array([[False, True, True]])]
    >>> flattened(masks, np.array([0.4, 0.9]), (1, 3), visible=0.5, smallest=1)[0].tolist()
    [[2, 1, 1]]
    """
    instances, kept = np.zeros(shape, np.int64), []
    for place in np.argsort(-scores, kind="stable").tolist():
        free = masks[place] & (instances == 0)
        area = int(free.sum())
        if area and area >= smallest and area >= visible * masks[place].sum():
            kept.append(float(scores[place]))
            instances[free] = len(kept)
    return instances, np.array(kept)
