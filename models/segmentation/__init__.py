"""Segmentation networks."""

from models.segmentation.deeplab import DeepLabAspp

__all__ = ["DeepLabAspp"]
