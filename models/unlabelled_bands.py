"""Unlabelled pixels of a ground truth: thin bands around objects, as PASCAL VOC has them, and larger areas."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt

from models.label_values import UNLABELLED

BAND_RADIUS = 4
"""An unlabelled area in which a disk of this radius (pixels) has room is void. The bands that PASCAL VOC draws around
objects are 5 pixels wide: no such disk has room in them."""

CORNER_REACH = 6
"""Void reaches as far as this (pixels) from the centre of such a disk, so that right-angled corners belong to it."""


def without_bands(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels without unlabelled pixels, whose borders stand in the middle of unlabelled bands; and what is void.

    Parameters
    ----------
    truth : ndarray, (H, W), integer
        65535 = unlabelled.

    Returns
    -------
    labels : ndarray, (H, W), integer
        Each unlabelled pixel has the label of the nearest labelled one, if there is one.
    void : ndarray, (H, W), bool
        Unlabelled areas that are wider than a band (`BAND_RADIUS`). Nobody knows which borders they contain. The edge
        of the image does not make an area narrower.

    Examples
    --------
    >>> labels, void = without_bands(np.array([[1, 65535, 65535, 65535, 65535, 2]] * 2))
    >>> labels.tolist(), bool(void.any())
    ([[1, 1, 1, 2, 2, 2], [1, 1, 1, 2, 2, 2]], False)
    """
    missing = truth == UNLABELLED
    if not missing.any() or missing.all():
        return truth, missing
    distance, (rows, columns) = distance_transform_edt(missing, return_indices=True)
    inner = distance > BAND_RADIUS
    void = missing & (distance_transform_edt(~inner) <= CORNER_REACH) if inner.any() else inner
    return truth[rows, columns], void


def nearer_than_2(mask: np.ndarray) -> np.ndarray:
    """Pixels with a pixel of the mask at a distance below epsilon = 2: itself and its 8 neighbours, (H, W), bool.

    Examples
    --------
    >>> nearer_than_2(np.array([[False, False, True]])).tolist()
    [[False, True, True]]
    """
    return binary_dilation(mask, np.ones((3, 3), bool))
