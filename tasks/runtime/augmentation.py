"""Random changes of training images and of the maps that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional as colours

from tasks.runtime.resizing import enlarged_size, enlargement


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images. The geometric changes are the same for the image and all its maps.

    Attributes
    ----------
    crop : (int, int)
        Height and width of the result; smaller images are padded.
    scale_min, scale_max : float
        Minimum and maximum random scale. The logarithm of the scale has a uniform distribution.
    flip : bool
        Mirror half of the images.
    jitter : float
        Brightness, contrast and saturation are multiplied by factors in [1 - jitter, 1 + jitter].
    hue : float
        Maximum change of the hue, as a share of the colour circle, at most 0.5.
    mosaic : float
        Share of the items that are mosaics: four images at half size, two by two. If every training image shows one
        object, a network learns that an image has one class. A mosaic shows several classes.
    fit : bool
        Scale images down that are larger than the crop, so that their tags are true for what is seen of them.
    scale_steps : int
        0 = any scale between the minimum and the maximum; else one of so many equally spaced scales, both included.
    resize_side : {"none", "short", "long"}
        Side of the image that is first brought to a length in pixels.
    resize_to : tuple of float
        This length, or the minimum and the maximum of a random length with a uniform distribution.
    least_side : int
        Without `resize_side`, images whose longer side has fewer pixels are first enlarged to this length.
    """

    crop: tuple[int, int]
    scale_min: float = 1.0
    scale_max: float = 1.0
    flip: bool = True
    jitter: float = 0.0
    hue: float = 0.0
    mosaic: float = 0.0
    fit: bool = False
    scale_steps: int = 0
    resize_side: str = "none"
    resize_to: tuple[float, ...] = ()
    least_side: int = 0

    def draw_scale(self, size: Sequence[int], rng: np.random.Generator) -> tuple[float, float]:
        """A random scale of an image of `size` (height, width), and the part of it that brings a side to a length."""
        if self.scale_steps:
            scale = float(rng.choice(np.linspace(self.scale_min, self.scale_max, self.scale_steps)))
        else:
            scale = float(np.exp(rng.uniform(np.log(self.scale_min), np.log(self.scale_max))))
        if self.resize_side == "none":
            return scale * enlargement(size, self.least_side), 1.0
        resized = float(rng.uniform(min(self.resize_to), max(self.resize_to))) / side_of(size, self.resize_side)
        return scale * resized, resized

    def enlarged(self, size: Sequence[int]) -> tuple[int, int]:
        """Height and width of an image of `size` that `least_side` has enlarged: whole pixels, as those of a crop."""
        return enlarged_size((size[0], size[1]), self.least_side if self.resize_side == "none" else 0)


def side_of(size: Sequence[int], side: str) -> int:
    """The side of an image of `size` (height, width) that ``short`` or ``long`` names, in pixels.

    Examples
    --------
    >>> side_of((1080, 1920), "short"), side_of((1080, 1920), "long")
    (1080, 1920)
    """
    return min(size) if side == "short" else max(size)


def jitter_colours(image: Tensor, brightness: float, contrast: float, saturation: float, hue: float = 0.0) -> Tensor:
    """Change the colours of an image (3, H, W) in [0, 1], with the functions of torchvision's ColorJitter.

    Parameters
    ----------
    image : Tensor, (3, H, W), float in [0, 1]
    brightness, contrast, saturation : float
        Factors; 1 = no change.
    hue : float
        Change of the hue as a share of the colour circle, in [-0.5, 0.5]; 0 = no change.

    Returns
    -------
    Tensor, (3, H, W), float in [0, 1]
    """
    image = colours.adjust_brightness(image, brightness)
    image = colours.adjust_contrast(image, contrast)
    image = colours.adjust_saturation(image, saturation)
    return colours.adjust_hue(image, hue) if hue else image


def resize_nearest(values: Tensor, size: Sequence[int]) -> Tensor:
    """Resize a map (H, W) of any dtype to `size` (height, width), nearest neighbour."""
    rows, columns = (
        ((torch.arange(new) + 0.5) * old / new).long().clamp(max=old - 1) for new, old in zip(size, values.shape)
    )
    return values[rows][:, columns]


def resize_map(values: Tensor, size: Sequence[int]) -> Tensor:
    """Resize a map (H, W) to `size` (height, width): nearest neighbour, but bilinear if a map of floats grows.

    Depth that is repeated has steps on every tilted surface, and steps are edges.
    """
    if values.is_floating_point() and size[0] * size[1] > values.numel():
        return F.interpolate(values[None, None], size=list(size), mode="bilinear", align_corners=False)[0, 0]
    return resize_nearest(values, size)


def crop_or_pad(values: Tensor, size: tuple[int, int], corner: Sequence[int], padding: float) -> Tensor:
    """Crop or pad a map to a size; each axis is treated separately.

    Parameters
    ----------
    values : Tensor, (..., H, W)
    size : (height, width)
    corner : (y, x)
        Where the crop begins. On an axis that is padded: where the map begins in the result.
    padding : float
        Value of the padding.

    Returns
    -------
    Tensor, (..., height, width)
    """
    for axis, (want, start) in enumerate(zip(size, corner), start=values.ndim - 2):
        have = values.shape[axis]
        if have >= want:
            values = values.narrow(axis, start, want)
        else:
            shape = list(values.shape)
            shape[axis] = want
            whole = values.new_full(shape, padding)
            whole.narrow(axis, start, have).copy_(values)
            values = whole
    return values
