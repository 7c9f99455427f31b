"""Segmentation networks."""

from models.segmentation.deeplab import DeepLabAspp
from models.segmentation.superpixel_fcn import SuperpixelFcn

__all__ = ["DeepLabAspp", "SuperpixelFcn"]
