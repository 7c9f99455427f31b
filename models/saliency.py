"""Refinement of saliency maps with CAMs (S. Kim, SNU 2022, eqs. 2.5, 2.6)."""

from __future__ import annotations

from torch import Tensor

from models.label_values import UNLABELLED


def refine_saliency(
    salient: Tensor, cam: Tensor, sure: float = 0.8, doubtful: float = 0.3, doubtful_value: int = UNLABELLED
) -> Tensor:
    """R = 1 where B > sure and O = 0; unlabelled where B < doubtful and O = 1; else O (eq. 2.6).

    B is the largest CAM of the present classes (eq. 2.5). An object that the saliency map missed is added where a CAM
    is high. Salient pixels with low CAMs become unlabelled.

    Parameters
    ----------
    salient : Tensor, (H, W), bool
        O, class-agnostic saliency.
    cam : Tensor, (S, H, W), float in [0, 1]
        CAMs of the present classes, each divided by its maximum. With S = 0, B is 0 everywhere.
    sure, doubtful : float
        Thresholds tau_1 and tau_2.
    doubtful_value : int
        What salient pixels with low CAMs become: unlabelled, as published, or 0, the other variant of table 2.5.

    Returns
    -------
    Tensor, (H, W), int32
        0 not salient, 1 salient, or `doubtful_value`.

    Examples
    --------
    >>> import torch
    >>> refine_saliency(torch.tensor([[True, True, False]]), torch.tensor([[[0.9, 0.1, 0.9]]])).tolist()
    [[1, 65535, 1]]
    """
    strongest = cam.amax(0) if len(cam) else cam.new_zeros(salient.shape)
    refined = salient.int()
    refined[(strongest > sure) & ~salient] = 1
    refined[(strongest < doubtful) & salient] = doubtful_value
    return refined
