"""Constants of the dense CRF by name, and the engines that compute it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CrfConstants:
    """Constants of the two pairwise terms; distances in pixels, colours in [0, 255]."""

    gaussian_sxy: float
    gaussian_compat: float
    bilateral_sxy: float
    bilateral_srgb: float
    bilateral_compat: float
    iterations: int
    label_confidence: float = 0.7
    """Probability of a given label where the unary term comes from a label map."""


CRF_PRESETS = {
    # S. Kim's published example for superpixels
    "kim": CrfConstants(10, 10, 20, 5, 10, 20),
    # jiwoon-ahn/irn, crf_inference_label
    "irn": CrfConstants(3, 3, 50, 5, 10, 10),
    # DeepLab as kazuto1011/deeplab-pytorch has it, and after it EPS and CLIP-ES
    "clip-es": CrfConstants(1, 3, 67, 3, 4, 10),
}
"""Constants in use in the field; they move results by points, so a result names its preset."""

ENGINES = ("pydensecrf", "torch")
"""Both use the same lattice and differ by rounding; torch runs on a GPU."""
