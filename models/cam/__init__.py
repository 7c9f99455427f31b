"""Class activation maps: classifiers that have them, one head a file, and their extraction."""

from __future__ import annotations

from typing import Any

from models.registry import export, load

HEADS: dict[str, str] = {
    "gap": "models.cam.gap:GapClassifier",
    "seam": "models.cam.seam:SeamClassifier",
    "vit": "models.cam.vit:VitClassifier",
    "dilated": "models.cam.dilated:DilatedClassifier",
}
"""name -> `CamClassifier`, built from (backbone name, output stride, number of foreground classes)."""


def build_classifier(num_classes: int, head: str, backbone: str, output_stride: int) -> Any:
    """An image classifier with CAMs, without weights.

    Parameters
    ----------
    num_classes : int
        Foreground classes K.
    head : a name of `HEADS`
    backbone : str
        timm name.
    output_stride : {8, 16, 32}

    Raises
    ------
    ValueError
        If a name is unknown or the backbone cannot have this stride.
    """
    return load(HEADS, head)(backbone, output_stride, num_classes)


def __getattr__(name: str) -> Any:
    return export([*HEADS.values(), *BASE], __name__, name)


BASE = ("models.cam.classifier:CamClassifier", "models.cam.classifier:CamOutput")
