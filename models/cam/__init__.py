"""Class activation maps: classifiers that have them, one head a file, and their extraction."""

from models.cam.classifier import CamClassifier, CamOutput
from models.cam.dilated import DilatedClassifier
from models.cam.gap import GapClassifier
from models.cam.seam import SeamClassifier
from models.cam.vit import VitClassifier

HEADS: dict[str, type[CamClassifier]] = {
    "gap": GapClassifier,
    "seam": SeamClassifier,
    "vit": VitClassifier,
    "dilated": DilatedClassifier,
}
"""name -> classifier, built from (backbone name, output stride, number of foreground classes)."""

__all__ = [
    "HEADS",
    "CamClassifier",
    "CamOutput",
    "DilatedClassifier",
    "GapClassifier",
    "SeamClassifier",
    "VitClassifier",
]
