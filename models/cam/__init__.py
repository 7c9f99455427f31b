"""Class activation maps (CAMs): image classifiers that have them, one file per CAM head, and their extraction.

``from models.cam import GapClassifier`` works for every class below. The modules are imported on demand.
"""

from __future__ import annotations

from typing import Any

from models.registry import export, load

HEADS: dict[str, str] = {
    "gap": "models.cam.gap:GapClassifier",
    "seam": "models.cam.seam:SeamClassifier",
    "vit": "models.cam.vit:VitClassifier",
    "dilated": "models.cam.dilated:DilatedClassifier",
}
"""name -> `CamClassifier`, built from (backbone name, output stride, number of foreground classes) and keywords."""

BASE = ("models.cam.classifier:CamClassifier", "models.cam.classifier:CamOutput")
"""The base class of the heads and what they return."""


def build_classifier(num_classes: int, head: str, backbone: str, output_stride: int = 16, **further: Any) -> Any:
    """An image classifier with CAMs, without pretrained weights.

    Parameters
    ----------
    num_classes : int
        Foreground classes K.
    head : a name of `HEADS`
    backbone : str
        timm name.
    output_stride : {8, 16, 32}
        Input pixels per cell of the maps.
    further
        Keywords of this head alone.

    Returns
    -------
    CamClassifier

    Raises
    ------
    ValueError
        If a name is unknown or the backbone cannot have this stride.

    Examples
    --------
    >>> import torch
    >>> classifier = build_classifier(3, "gap", "test_efficientnet", 16)
    >>> classifier(torch.zeros(1, 3, 64, 96)).maps.shape
    torch.Size([1, 3, 4, 6])
    """
    return load(HEADS, head)(backbone, output_stride, num_classes, **further)


def __getattr__(name: str) -> Any:
    return export([*HEADS.values(), *BASE], __name__, name)
