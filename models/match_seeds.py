"""Seeds from objects that were named by templates: certain inside an object, unlabelled near its border."""

from __future__ import annotations

import numpy as np

from models.depth_segments import near_border
from models.label_values import UNLABELLED


def seeds_of_objects(labels: np.ndarray, unnamed: np.ndarray, band: int) -> np.ndarray:
    """Label map of the pixels whose class is certain.

    Parameters
    ----------
    labels : ndarray, (H, W), integer
        Classes of the named objects, 0 = background.
    unnamed : ndarray, (H, W), bool
        Objects without a name. They are neither background nor known.
    band : int
        Pixels within this distance of another label are unlabelled; 0 = none.

    Returns
    -------
    ndarray, (H, W), int64
        0 background, 1.. class, `UNLABELLED`.

    Examples
    --------
    >>> seeds_of_objects(np.array([[0, 0, 3, 3]]), np.array([[True, False, False, False]]), band=0).tolist()
    [[65535, 0, 3, 3]]
    """
    uncertain = unnamed | (near_border(labels, band) if band else False)
    return np.where(uncertain, UNLABELLED, labels).astype(np.int64)
