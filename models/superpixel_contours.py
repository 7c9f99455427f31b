"""Borders between superpixels that are one pixel wide, as OpenCV draws them."""

from __future__ import annotations

import numpy as np

EARLIER = ((0, -1), (-1, -1), (-1, 0), (-1, 1))
LATER = ((0, 1), (1, 1), (1, 0), (1, -1))
"""Neighbours (down, right) of a pixel that a scan by rows has seen before it, and those that it has not."""


def contours(labels: np.ndarray) -> np.ndarray:
    """The contours of all regions of a label map, one pixel wide.

    The pixels are scanned by rows. A pixel belongs to the contour if more than one of its 8 neighbours has another
    label and is not in the contour yet. This is ``getLabelContourMask(thick_line=False)`` of the superpixels of
    OpenCV's contrib modules.

    Parameters
    ----------
    labels : ndarray, (H, W), integer

    Returns
    -------
    ndarray, (H, W), bool

    Examples
    --------
    >>> contours(np.array([[0, 0, 1, 1]] * 3)).astype(int).tolist()
    [[0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]]
    """
    height, width = labels.shape
    later = np.sum([_differs(labels, *step) for step in LATER], axis=0)
    earlier = np.stack([_differs(labels, *step) for step in EARLIER])
    found = np.pad(later > 1, 1)  # whatever comes before it
    undecided = np.nonzero((later <= 1) & (later + earlier.sum(0) > 1))
    # The earlier neighbours of a pixel have a smaller 2 row + column: pixels of one such number are decided together.
    wave = 2 * undecided[0] + undecided[1]
    order = np.argsort(wave, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(wave[order])) + 1) if len(order) else []
    for group in groups:
        rows, columns = undecided[0][group], undecided[1][group]
        others = later[rows, columns]
        for differs, (down, right) in zip(earlier, EARLIER, strict=True):
            others = others + (differs[rows, columns] & ~found[rows + 1 + down, columns + 1 + right])
        found[rows + 1, columns + 1] = others > 1
    return found[1 : height + 1, 1 : width + 1]


def _differs(labels: np.ndarray, down: int, right: int) -> np.ndarray:
    """Pixels whose neighbour at this step is in the image and has another label, (H, W), bool."""
    height, width = labels.shape
    rows = slice(max(-down, 0), height - max(down, 0))
    columns = slice(max(-right, 0), width - max(right, 0))
    there = labels[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)]
    found = np.zeros(labels.shape, bool)
    found[rows, columns] = labels[rows, columns] != there
    return found
