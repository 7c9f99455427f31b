"""Saliency maps refined by CAMs (S. Kim, SNU 2022, eqs. 2.5, 2.6)."""

from __future__ import annotations

from torch import Tensor

from models.label_values import UNLABELLED


def refine_saliency(
    salient: Tensor, cam: Tensor, sure: float = 0.8, doubtful: float = 0.3, unlabelled: int = UNLABELLED
) -> Tensor:
    """R = 1 where B > sure and O = 0; unlabelled where B < doubtful and O = 1; else O (2.6).

    B is the largest CAM of the present classes (2.5): an object that the saliency has missed is added
    where a CAM is sure of it, and what is salient without any CAM is left open.

    Parameters
    ----------
    salient : Tensor, (H, W), bool
        O, the class-agnostic saliency.
    cam : Tensor, (S, H, W), float in [0, 1]
        CAMs of the present classes, each divided by its maximum; S = 0 makes B zero everywhere.
    sure, doubtful : float
        tau_1 and tau_2.
    unlabelled : int

    Returns
    -------
    Tensor, (H, W), uint8: 0 not salient, 1 salient, `unlabelled`.
    """
    strongest = cam.amax(0) if len(cam) else cam.new_zeros(salient.shape)
    refined = salient.byte()
    refined[(strongest > sure) & ~salient] = 1
    refined[(strongest < doubtful) & salient] = unlabelled
    return refined
