"""The size at which networks see images: an absolute one, for images that are much larger than the training crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tasks.runtime.numeric import whole
from tasks.runtime.parameters import one_of, only

if TYPE_CHECKING:
    from torch import Tensor

SIDES = ("none", "short", "long")

LARGEST_SIDE = 4096
"""Largest length of a side in pixels."""

LEAST_SIDE = 320
"""Length of the longer side, in pixels, to which smaller images are enlarged before a network sees them.

A network has a cell for each 16 pixels. At a width of 192, an object of a tenth of the width has one cell.
"""


def resize_side_parameter():
    """A parameter that names the side of an image that is brought to a length."""
    return one_of(SIDES, "none", "side of the image that is brought to a length in pixels first; none: sizes stay")


def resize_to_parameter():
    """A parameter that is this length."""
    return only(
        whole(768, "length of this side in pixels", at_least=16, at_most=LARGEST_SIDE), resize_side=("short", "long")
    )


def least_side_parameter():
    """A parameter that is the length to which smaller images are enlarged."""
    return only(
        whole(
            LEAST_SIDE,
            "images whose longer side has fewer pixels are enlarged to this length first, 0 = none is",
            at_least=0,
            at_most=LARGEST_SIDE,
        ),
        resize_side="none",
    )


def enlargement(size: Sequence[int], least_side: int) -> float:
    """Scale by which an image of `size` (height, width) is enlarged, so that its longer side has `least_side` pixels.

    Examples
    --------
    >>> enlargement((150, 200), 320), enlargement((480, 640), 320), enlargement((150, 200), 0)
    (1.6, 1.0, 1.0)
    """
    return max(1.0, least_side / max(size))


def enlarged_size(size: tuple[int, int], least_side: int) -> tuple[int, int]:
    """Height and width of an image of `size` after it was enlarged (`enlargement`)."""
    scale = enlargement(size, least_side)
    return round(size[0] * scale), round(size[1] * scale)


def resized_size(size: tuple[int, int], side: str, length: int) -> tuple[int, int]:
    """Height and width of an image of `size` whose `side` (a name of `SIDES`) gets a length in pixels.

    Examples
    --------
    >>> resized_size((1080, 1920), "long", 768), resized_size((1080, 1920), "short", 540)
    ((432, 768), (540, 960))
    >>> resized_size((1080, 1920), "none", 768)
    (1080, 1920)
    """
    if side == "none":
        return size
    scale = length / (min(size) if side == "short" else max(size))
    height, width = (max(1, round(have * scale)) for have in size)
    return height, width


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (B, C, H, W) of floats at another size (bilinear, with antialiasing)."""
    import torch.nn.functional as F

    if tuple(images.shape[-2:]) == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def resized_picture(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """An image (H, W, 3) uint8 at another size (height, width)."""
    if image.shape[:2] == tuple(size):
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def at_size(probabilities: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Probabilities (L, h, w) at another size (height, width), bilinear."""
    import torch
    import torch.nn.functional as F

    found = torch.from_numpy(np.ascontiguousarray(probabilities))[None]
    return F.interpolate(found, size=tuple(size), mode="bilinear", align_corners=False)[0].numpy()


def nearest_at_size(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A label map (h, w) at another size (height, width), of the nearest pixels.

    Examples
    --------
    >>> nearest_at_size(np.array([[1, 7]]), (2, 4)).tolist()
    [[1, 1, 7, 7], [1, 1, 7, 7]]
    """
    if labels.shape == size:
        return labels
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, labels.shape))
    return labels[rows][:, columns]


def labels_at_size(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A label map (h, w) at another size (height, width), with smooth borders.

    Each class is a map of 0 and 1, which is brought to the size (bilinear). A pixel gets the class with the largest
    value; of equals, the smallest number. So a border has no stairs, as the nearest pixels would give.

    Examples
    --------
    >>> labels_at_size(np.array([[0, 0], [0, 65535]], np.uint16), (3, 3)).tolist()
    [[0, 0, 0], [0, 0, 0], [0, 0, 65535]]
    """
    if labels.shape == tuple(size):
        return labels
    best, found = np.full(size, -1, np.float32), np.zeros(size, labels.dtype)
    for value in np.unique(labels):  # one after the other: an image may have many classes
        share = at_size((labels == value)[None].astype(np.float32), size)[0]
        is_more = share > best
        best[is_more], found[is_more] = share[is_more], value
    return found


class ResizesImages:
    """Mixin of a stage over images: the size at which an image is seen. Scales are relative to this size."""

    resize_side = resize_side_parameter()
    resize_to = resize_to_parameter()

    least_side: Any = 0
    """Smaller images are enlarged; a parameter in the stages that have it."""

    def seen_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width at which an image of `size` is seen, before any scale."""
        if self.resize_side == "none":
            return enlarged_size(size, self.least_side)
        return resized_size(size, self.resize_side, self.resize_to)
