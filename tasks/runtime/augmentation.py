"""Random changes of training images, and of the maps that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as colours


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images; the geometric ones apply to every map alike.

    Attributes
    ----------
    crop : (int, int)
        Height and width of the result; smaller images are padded.
    scale_min, scale_max : float
        Range of the random resize.
    flip : bool
        Mirror half of the images.
    jitter : float
        Brightness, contrast and saturation change by a factor in [1 - jitter, 1 + jitter].
    hue : float
        The hue turns by up to this share of the colour circle, at most 0.5.
    mosaic : float
        Share of the items that are four images at half size, two by two. Where training images show one
        object each, a network learns that an image has one class; four at once tell it otherwise.
    """

    crop: tuple[int, int]
    scale_min: float = 1.0
    scale_max: float = 1.0
    flip: bool = True
    jitter: float = 0.0
    hue: float = 0.0
    mosaic: float = 0.0


def jitter_colours(image: Tensor, brightness: float, contrast: float, saturation: float, hue: float = 0.0) -> Tensor:
    """Change the colours of (3, H, W) in [0, 1], as torchvision's ColorJitter does: factors, and a turn of the hue."""
    image = colours.adjust_brightness(image, brightness)
    image = colours.adjust_contrast(image, contrast)
    image = colours.adjust_saturation(image, saturation)
    return colours.adjust_hue(image, hue) if hue else image


def resize_nearest(values: Tensor, size: Sequence[int]) -> Tensor:
    """(H, W) of any dtype -> `size`, nearest neighbour."""
    rows, columns = (
        ((torch.arange(new) + 0.5) * old / new).long().clamp(max=old - 1) for new, old in zip(size, values.shape)
    )
    return values[rows][:, columns]


def crop_or_pad(values: Tensor, size: tuple[int, int], corner: Sequence[int], padding: float) -> Tensor:
    """(..., H, W) -> (..., *size): along each axis cut from `corner` on, or place at `corner` and pad."""
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
