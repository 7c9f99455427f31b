"""What is told of each instance besides its pixels: class, score, box, area."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage


class InstanceTable(NamedTuple):
    """The instances 1..N of an image, in this order.

    Attributes
    ----------
    classes : ndarray, (N,), int64
        Class number; 0 = any class.
    scores : ndarray, (N,), float64, in [0, 1]
    boxes : ndarray, (N, 4), int64, pixels
        Left, top, width, height.
    areas : ndarray, (N,), int64, pixels
    """

    classes: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray


def instance_table(instances: np.ndarray, classes: np.ndarray, scores: np.ndarray) -> InstanceTable:
    """The table of an instance map.

    Parameters
    ----------
    instances : ndarray, (H, W), integer
        1..N without gaps, 0 = none.
    classes : ndarray, (N,), integer
    scores : ndarray, (N,), float

    Examples
    --------
    >>> instance_table(np.array([[0, 1, 1]]), np.array([3]), np.array([0.5])).boxes.tolist()
    [[1, 0, 2, 1]]
    """
    count = int(instances.max(initial=0))
    places = ndimage.find_objects(instances.astype(np.int64))
    boxes = [[x.start, y.start, x.stop - x.start, y.stop - y.start] for y, x in places]
    areas = np.bincount(instances.ravel(), minlength=count + 1)[1:]
    return InstanceTable(
        np.asarray(classes, np.int64), np.asarray(scores, np.float64), np.array(boxes, np.int64).reshape(-1, 4), areas
    )


def class_of_each(instances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The most frequent value of a label map in each instance 1..N, (N,) int64; 0 for a number without pixels.

    Examples
    --------
    >>> class_of_each(np.array([[1, 1, 1, 0]]), np.array([[2, 2, 5, 7]])).tolist()
    [2]
    """
    count = int(instances.max(initial=0))
    found = np.zeros(count, np.int64)
    for number, place in enumerate(ndimage.find_objects(instances.astype(np.int64))):
        if place is not None:
            found[number] = np.bincount(labels[place][instances[place] == number + 1]).argmax()
    return found


def depth_scores(instances: np.ndarray, stands: np.ndarray, valid: np.ndarray, smallest: float) -> np.ndarray:
    """Scores by depth: share of the measured pixels that stand on the plane, times a / (a + smallest) for the area a.

    An instance that the depth does not show above the plane is doubtful, and so is a very small one. Without a measured
    pixel, the share is one half.

    Parameters
    ----------
    instances : ndarray, (H, W), integer
        1..N without gaps, 0 = none.
    stands, valid : ndarray, (H, W), bool
        Pixels above the plane; measured pixels.
    smallest : float
        In pixels.

    Returns
    -------
    ndarray, (N,), float64, in [0, 1]
    """
    count = int(instances.max(initial=0)) + 1
    areas = np.bincount(instances.ravel(), minlength=count)[1:]
    measured = np.bincount(instances[valid], minlength=count)[1:]
    standing = np.bincount(instances[valid & stands], minlength=count)[1:]
    share = np.where(measured > 0, standing / np.maximum(measured, 1), 0.5)
    return share * areas / (areas + smallest)
