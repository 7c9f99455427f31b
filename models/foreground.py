"""The object in a photograph of a single object that is cut out closely, before a smooth background."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.color import rgb2lab

RING = 2
"""Width in pixels of the border from which the background is learnt."""

LEAST_CONTRAST = 6.0
"""Difference from the background in CIELAB that is an object in any case."""

SURE = (0.08, 0.97)
"""Share of the photograph that a plausible object has, at least and at most."""


def foreground_of(image: np.ndarray) -> np.ndarray:
    """Pixels that are surely the object (ours).

    The background is an affine function of the position in each channel of CIELAB, as of an evenly coloured table under
    smooth light. It is fitted to the border of the photograph; what fits badly there is left out, since the object
    touches the border. Pixels far from the fit are the object. Lightness counts half, for shadows.

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8

    Returns
    -------
    ndarray, (H, W), bool
        False everywhere if the result is no plausible object (`SURE`). An object of the colour of its background is
        found in part only, and a shadow may belong to it.
    """
    height, width = image.shape[:2]
    border = np.ones((height, width), bool)
    border[RING:-RING, RING:-RING] = False
    rows, columns = np.mgrid[:height, :width]
    terms = np.stack([np.ones(height * width), rows.ravel() / height, columns.ravel() / width], axis=1)
    colours, ring = rgb2lab(image).reshape(-1, 3), border.ravel()
    kept = ring
    for _ in range(4):
        fit = terms @ np.linalg.lstsq(terms[kept], colours[kept], rcond=None)[0]
        difference = (np.abs(colours - fit) * (0.5, 1.0, 1.0)).max(axis=1)
        kept = ring & (difference < max(LEAST_CONTRAST / 2, 2.5 * np.median(difference[ring])))
    spread = 1.4826 * np.median(difference[kept])  # of a normal distribution
    found = (difference > max(LEAST_CONTRAST, 3 * spread)).reshape(height, width)
    found = ndimage.binary_closing(np.pad(found, RING), iterations=RING)[RING:-RING, RING:-RING]
    found = ndimage.binary_opening(ndimage.binary_fill_holes(found))
    parts, count = ndimage.label(found)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    found = (sizes > 0.2 * sizes.max(initial=0))[parts] & (parts > 0)
    return found if SURE[0] < found.mean() < SURE[1] else np.zeros_like(found)
