"""Naming objects by their nearest templates. A template is one view of an object of a known class.

A view has one key, or one for each of its cells (`models.object_crops.object_keys`): (P, D), with zeros for the cells
that are no part of the object.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

NEAREST = 3
"""Templates of a class that are averaged."""

NO_CLASS = 0
"""Class number of an unknown object."""

SURE = 0.01
"""Quantile of the lifts of the templates among themselves from which the threshold for unknown objects is taken."""


def k_medoids(keys: np.ndarray, count: int) -> np.ndarray:
    """Positions of `count` views that represent all: k-medoids by alternation.

    The distance of two views is 1 minus the mean of their `similarity` in both directions.

    The first medoid has the smallest sum of distances. Each further one begins at the view that is farthest from all
    before. Then views go to the nearest medoid, and each group takes its best member, until nothing changes (Park and
    Jun, "A simple and fast algorithm for K-medoids clustering", Expert Systems with Applications 2009).

    Parameters
    ----------
    keys : ndarray, (N, P, D), float
    count : int
        0 = all.

    Returns
    -------
    ndarray, (min(N, count),), int64
        Sorted.

    Examples
    --------
    >>> k_medoids(np.array([[[1.0, 0.0]], [[0.8, 0.6]], [[0.0, 1.0]]]), 1)
    array([1])
    """
    if not 0 < count < len(keys):
        return np.arange(len(keys))
    similar = similarity(keys, keys)
    distances = 1.0 - (similar + similar.T) / 2
    medoids = [int(distances.sum(1).argmin())]
    while len(medoids) < count:
        medoids.append(int(distances[:, medoids].min(1).argmax()))
    while True:
        groups = distances[:, medoids].argmin(1)
        found = []
        for number, medoid in enumerate(medoids):
            members = np.append(np.flatnonzero(groups == number), medoid)  # copies of a medoid may have no group
            found.append(int(members[distances[np.ix_(members, members)].sum(1).argmin()]))
        if found == medoids:
            return np.sort(np.array(medoids))
        if distances[:, found].min(1).sum() >= distances[:, medoids].min(1).sum() - 1e-12:
            return np.sort(np.array(medoids))
        medoids = found


def similarity(keys: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """Patch-to-patch similarity of views: each cell of the first finds the most similar cell of the second.

    s(a, b) = mean over the cells p of a of max over the cells q of b of <a_p, b_q>. With one key a view, it is their
    cosine. A view that is zero everywhere is similar to none: s = -1, the lowest cosine.

    Parameters
    ----------
    keys : ndarray, (N, P, D), float
    templates : ndarray, (T, Q, D), float

    Returns
    -------
    ndarray, (N, T), float64

    Examples
    --------
    >>> front, side = [[1.0, 0.0], [0.0, 1.0]], [[0.6, 0.8], [0.0, 0.0]]
    >>> similarity(np.array([front, side]), np.array([front])).tolist()
    [[1.0], [0.8]]
    """
    found = np.full((len(keys), len(templates)), -1.0)
    seen = templates.any((1, 2))
    if not seen.any():
        return found
    parts = templates[seen].any(2)
    cells = templates[seen][parts].astype(np.float64)
    first = np.concatenate([[0], np.cumsum(parts.sum(1))[:-1]]).astype(np.int64)
    for place in np.flatnonzero(keys.any((1, 2))):  # one after the other: the products take much memory
        view = keys[place].astype(np.float64)
        found[place, seen] = np.maximum.reduceat(view[view.any(1)] @ cells.T, first, axis=1).mean(0)
    return found


def similarities(keys: np.ndarray, templates: dict[int, np.ndarray], own: int | None = None) -> np.ndarray:
    """Mean `similarity` of each view to the `NEAREST` templates of each class.

    Parameters
    ----------
    keys : ndarray, (N, P, D), float
    templates : dict of class number -> ndarray, (T, P, D)
    own : int, optional
        The views are the templates of this class, in their order. None is compared with itself.

    Returns
    -------
    ndarray, (N, number of classes), float64
        In the order of `templates`. -1 for a class without (other) templates.
    """
    found = np.full((len(keys), len(templates)), -1.0)
    for place, (number, of_class) in enumerate(templates.items()):
        near = similarity(keys, of_class)
        if number == own:
            np.fill_diagonal(near, -np.inf)
        near = -np.sort(-near, axis=1)[:, : len(of_class) - (number == own)]
        if near.shape[1]:
            found[:, place] = near[:, :NEAREST].mean(1)
    return found


def lifts(similar: np.ndarray) -> np.ndarray:
    """How much more similar a view is to each class than to the others on average, same shape.

    The light and the scale of another scene move the similarities to all classes. Their differences move less.

    Examples
    --------
    >>> lifts(np.array([[0.9, 0.5, 0.7]])).round(2).tolist()
    [[0.3, -0.3, 0.0]]
    """
    count = similar.shape[1]
    if count < 2:
        return similar
    return similar - (similar.sum(1, keepdims=True) - similar) / (count - 1)


def learned_threshold(templates: dict[int, np.ndarray]) -> float:
    """Lift that nearly all templates have in their own class, each compared with the other templates.

    It is the quantile `SURE` of these lifts. A class with one template has no lift of its own. The others are compared
    with it all the same, as objects are. 0 if no class has two templates.
    """
    found = []
    for place, (number, keys) in enumerate(templates.items()):
        if len(keys) > 1:
            found.append(lifts(similarities(keys, templates, own=number))[:, place])
    return max(float(np.quantile(np.concatenate(found), SURE)), 0.0) if found else 0.0


def match_templates(
    keys: np.ndarray, templates: dict[int, np.ndarray], threshold: float, allowed: Collection[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Class and score of each object.

    Parameters
    ----------
    keys : ndarray, (N, P, D), float
    templates : dict of class number -> ndarray, (T, P, D)
    threshold : float
        Objects whose lift is lower are unknown.
    allowed : collection of int, optional
        Classes that are possible, such as the tags of the image.

    Returns
    -------
    classes : ndarray, (N,), int64
        `NO_CLASS` if unknown, as objects are whose key is zero everywhere.
    scores : ndarray, (N,), float64, in [0, 1]
        The similarity to the class.
    """
    numbers = np.array(list(templates), np.int64)
    if not len(keys) or not len(numbers):
        return np.zeros(len(keys), np.int64), np.zeros(len(keys))
    similar = similarities(keys, templates)
    lifted = lifts(similar)
    possible = np.ones(len(numbers), bool) if allowed is None else np.isin(numbers, list(allowed))
    best = np.where(possible, similar, -np.inf).argmax(1)
    rows = np.arange(len(keys))
    known = keys.any((1, 2)) & possible[best] & (lifted[rows, best] >= threshold)
    return np.where(known, numbers[best], NO_CLASS), np.clip(similar[rows, best], 0.0, 1.0)
