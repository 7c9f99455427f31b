"""The colours of the classes, the same in the report, the page, TensorBoard and Rerun."""

from __future__ import annotations

import matplotlib
import numpy as np


def palette(count: int) -> np.ndarray:
    """Colours of the classes 0..count-1, (count, 3) uint8. Class 0 is almost black; twenty other colours repeat.

    Examples
    --------
    >>> palette(3).tolist()
    [[32, 32, 36], [31, 119, 180], [255, 127, 14]]
    """
    order = [*range(0, 20, 2), *range(1, 20, 2)]  # the strong colours of tab20 first, then the pale ones
    colours = matplotlib.colormaps["tab20"](order)[np.arange(count - 1) % 20, :3]
    return np.concatenate([[[32, 32, 36]], (colours * 255)]).astype(np.uint8)
