"""Coarse annotations from fine masks, similar to the quick drawing of an annotator."""

from __future__ import annotations

import numpy as np
from skimage.draw import polygon as polygon_pixels
from skimage.measure import approximate_polygon, find_contours
from skimage.morphology import isotropic_erosion

from models.label_values import UNLABELLED


def erode_labels(labels: np.ndarray, radius: float) -> np.ndarray:
    """Shrink the region of each class by a disk of `radius` pixels. The pixels that it loses become unlabelled.

    The image border does not shrink a region: the polygon of an annotator also ends there.

    Parameters
    ----------
    labels : ndarray, (H, W), uint16
        65535 = void, which stays unlabelled and shrinks its neighbours.
    radius : float
        Pixels; 0 changes nothing.

    Returns
    -------
    ndarray, (H, W), uint16

    Examples
    --------
    >>> erode_labels(np.array([[1, 1, 1, 0, 0, 0]], np.uint16), radius=1).tolist()
    [[1, 1, 65535, 65535, 0, 0]]
    """
    margin = int(np.ceil(radius)) + 1
    padded = np.pad(labels, margin, mode="edge")
    coarse = np.full_like(padded, UNLABELLED)
    for number in np.unique(labels):
        if number != UNLABELLED:
            coarse[isotropic_erosion(padded == number, radius)] = number
    return coarse[margin:-margin, margin:-margin]


def simplify_labels(labels: np.ndarray, tolerance: float) -> np.ndarray:
    """Replace the outline of each connected region by a polygon with fewer corners. Small regions are drawn last.

    Parameters
    ----------
    labels : ndarray, (H, W), uint16; 65535 = void
    tolerance : float
        Largest distance in pixels between polygon and outline (Douglas and Peucker); 0 changes nothing.

    Returns
    -------
    ndarray, (H, W), uint16
        65535 where there is no polygon.
    """
    if tolerance <= 0:
        return labels.copy()
    outlines = []
    for number in np.unique(labels):
        if number == UNLABELLED:
            continue
        for outline in find_contours(np.pad(labels == number, 1).astype(float), 0.5):
            corners = approximate_polygon(outline - 1, tolerance)
            rows, columns = polygon_pixels(corners[:, 0], corners[:, 1], labels.shape)
            inside = labels[rows, columns] == number
            if rows.size and inside.mean() > 0.5:  # the outline of a hole encloses other classes
                outlines.append((rows.size, int(number), rows, columns))
    coarse = np.full_like(labels, UNLABELLED)
    for _, number, rows, columns in sorted(outlines, key=lambda outline: -outline[0]):
        coarse[rows, columns] = number
    coarse[labels == UNLABELLED] = UNLABELLED
    return coarse
