"""Masks as closed lines, each of which is a whole object with its holes and its parts.

Lines run through the centres of the border pixels, which belong to the object. So a tool that fills the line and draws
it, as OpenCV's ``fillPoly`` does, gets the mask back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import KDTree


def parts_of(mask: np.ndarray) -> list[list[np.ndarray]]:
    """The borders of each connected part of a mask: the outer border, then those of the holes.

    Parameters
    ----------
    mask : ndarray, (H, W), bool

    Returns
    -------
    list of list of ndarray, (N, 2), int, pixels
        Columns and rows of the border pixels, in the order in which they follow each other.

    Raises
    ------
    ImportError
        If OpenCV is not installed.
    """
    import cv2

    found, hierarchy = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not found:
        return []
    borders = [np.asarray(points).reshape(-1, 2) for points in found]
    parents = np.asarray(hierarchy)[0, :, 3].tolist()
    outer = [place for place, parent in enumerate(parents) if parent < 0]
    holes = {place: [border for border, parent in zip(borders, parents) if parent == place] for place in outer}
    return [[borders[place], *holes[place]] for place in outer]


def joined(lines: Sequence[np.ndarray]) -> np.ndarray:
    """One closed line that runs through all closed lines, by the shortest bridges, each of which it walks twice.

    The line that is nearest to what is already joined comes next. So a bridge to a hole crosses no other hole.

    Parameters
    ----------
    lines : sequence of ndarray, (N_i, 2), pixels

    Returns
    -------
    ndarray, (M, 2)
    """
    whole, waiting = lines[0], list(lines[1:])
    tree = KDTree(whole)
    near = [_nearest(tree, line) for line in waiting]
    while waiting:
        at = min(range(len(waiting)), key=lambda place: near[place][0])
        line, (_, start, goal) = waiting.pop(at), near.pop(at)
        place = int(np.flatnonzero((whole == goal).all(1))[0])
        ring = np.roll(line, -start, axis=0)
        whole = np.concatenate([whole[: place + 1], ring, ring[:1], whole[place:]])
        tree = KDTree(line)
        near = [min(known, _nearest(tree, other), key=lambda it: it[0]) for known, other in zip(near, waiting)]
    return whole


def _nearest(tree: KDTree, line: np.ndarray) -> tuple[float, int, np.ndarray]:
    """Distance of a line to the points of a tree, the place of its nearest point, and the point there."""
    distances, points = tree.query(line)
    start = int(np.argmin(distances))
    return float(distances[start]), start, tree.data[points[start]]


def corners(line: np.ndarray) -> np.ndarray:
    """A closed line without the points that lie between two others on a straight piece, (N, 2); at least three points.

    Examples
    --------
    >>> corners(np.array([[0, 0], [1, 0], [2, 0], [2, 1], [2, 2], [1, 1]])).tolist()
    [[0, 0], [2, 0], [2, 2]]
    """
    line = line[(line != np.roll(line, 1, axis=0)).any(1)] if len(line) > 1 else line
    before, after = line - np.roll(line, 1, axis=0), np.roll(line, -1, axis=0) - line
    turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    found = line[(turn != 0) | ((before * after).sum(1) <= 0)]
    return np.concatenate([found, np.repeat(found[-1:], max(0, 3 - len(found)), axis=0)])
