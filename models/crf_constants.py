"""Constants of the dense CRF by name, and the names of the engines that compute it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec


@dataclass(frozen=True)
class CrfConstants:
    """Constants of the two pairwise terms.

    Attributes
    ----------
    gaussian_sxy, gaussian_compat : float
        Standard deviation in pixels and weight of the smoothness term, which depends on position alone.
    bilateral_sxy, bilateral_srgb, bilateral_compat : float
        Standard deviations in pixels and in colour ([0, 255]) and weight of the term that depends on both.
    iterations : int
        Steps of mean-field inference.
    label_confidence : float
        Probability of the given label where the unary term comes from a label map.
    """

    gaussian_sxy: float
    gaussian_compat: float
    bilateral_sxy: float
    bilateral_srgb: float
    bilateral_compat: float
    iterations: int
    label_confidence: float = 0.7

    def at(self, scale: float) -> CrfConstants:
        """The constants for the same image at another scale: distances in pixels are multiplied by it."""
        return replace(self, gaussian_sxy=self.gaussian_sxy * scale, bilateral_sxy=self.bilateral_sxy * scale)

    def fitting(self, size: Sequence[int]) -> CrfConstants:
        """The constants for an image of `size` (height, width). They differ for sides above `LONGEST_SIDE`."""
        least = max(size) / LONGEST_SIDE
        return replace(self, gaussian_sxy=max(self.gaussian_sxy, least), bilateral_sxy=max(self.bilateral_sxy, least))


CRF_PRESETS = {
    # The example in the documentation of pydensecrf (Kraehenbuehl and Koltun, NIPS 2011). S. Kim post-processes
    # predictions by "CRF with default parameters", without numbers; these are the nearest thing to a default.
    "default": CrfConstants(3, 3, 80, 13, 10, 5),
    # S. Kim, published example for superpixels
    "kim": CrfConstants(10, 10, 20, 5, 10, 20),
    # jiwoon-ahn/irn, crf_inference_label
    "irn": CrfConstants(3, 3, 50, 5, 10, 10),
    # DeepLab in kazuto1011/deeplab-pytorch; EPS and CLIP-ES use the same
    "clip-es": CrfConstants(1, 3, 67, 3, 4, 10),
}
"""name -> constants that published methods use. They change scores by points, so a result states its preset."""


LONGEST_SIDE = 5000
"""Largest side of an image, in standard deviations of a kernel: pydensecrf counts lattice coordinates in 16 bits."""

LATTICE_BYTES = 700
"""Bytes per pixel of the lattices: a noisy photograph with the preset clip-es takes 500 in pydensecrf, 650 in torch."""

GROUP_VALUES = 2**22
"""Labels times pixels whose messages are computed together. About ten buffers of 4 bytes have this size."""

BLOCK_VALUES = 2**20
"""Labels times pixels that are normalised together."""


def group_size(num_labels: int, pixels: int) -> int:
    """Number of labels whose messages are computed together: a multiple of 4, since processors compute four at once.

    Examples
    --------
    >>> group_size(500, 640 * 480), group_size(100, 640 * 480), group_size(500, 2048 * 2048)
    (12, 12, 4)
    """
    groups = math.ceil(num_labels / max(4, GROUP_VALUES // pixels // 4 * 4))
    return math.ceil(num_labels / groups / 4) * 4


def pixel_blocks(num_labels: int, pixels: int) -> list[slice]:
    """The blocks of pixels that are normalised together, all labels of a pixel at a time.

    Examples
    --------
    >>> pixel_blocks(2**19, 5)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, BLOCK_VALUES // num_labels)
    return [slice(start, min(start + step, pixels)) for start in range(0, pixels, step)]


def installed_engine(wanted: str = "pydensecrf") -> str:
    """`wanted`, or ``torch`` where that would be pydensecrf and it is not installed.

    pydensecrf2 has no build for Python 3.13 and newer.
    """
    return "torch" if wanted == "pydensecrf" and find_spec("pydensecrf") is None else wanted


ENGINES = ("pydensecrf", "torch")
"""Both use the same lattice and differ by rounding. ``torch`` also runs on a GPU."""
