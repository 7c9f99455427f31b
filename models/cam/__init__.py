"""Class activation maps: classifiers that have them, and their extraction."""

from models.cam.classifier import CamClassifier

__all__ = ["CamClassifier"]
