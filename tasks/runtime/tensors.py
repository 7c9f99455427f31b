"""Samples as tensors: images, tags, batches of images of one size, and the normalisation that a network expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.files.working_size import sample_image
from data.sample import Sample


@dataclass(frozen=True)
class Normalisation:
    """Channel mean and standard deviation (RGB, of values in [0, 1]) that a network's weights expect."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """Images (..., 3, H, W) in [0, 1] -> normalised images of the same shape."""
        shape = (3, 1, 1)
        return (images - images.new_tensor(self.mean).view(shape)) / images.new_tensor(self.std).view(shape)

    def undo(self, images: Tensor) -> Tensor:
        """Normalised images (..., 3, H, W) -> colours, clamped to [0, 1]."""
        return self._undone(images).clamp(0, 1)

    def converted(self, images: Tensor, wanted: Normalisation) -> Tensor:
        """Images (..., 3, H, W) of this normalisation, in another one; the images themselves if both are equal."""
        return images if wanted == self else wanted(self._undone(images))

    def _undone(self, images: Tensor) -> Tensor:
        shape = (3, 1, 1)
        return images * images.new_tensor(self.std).view(shape) + images.new_tensor(self.mean).view(shape)


def tags_of(samples: Sequence[Sample], num_classes: int) -> Tensor:
    """Image-level tags of B samples, (B, K) float32 in {0, 1}."""
    tags = torch.zeros(len(samples), num_classes)
    for row, sample in zip(tags, samples, strict=True):
        row[[label - 1 for label in sample.tags]] = 1
    return tags


def rgb_tensor(image: np.ndarray) -> Tensor:
    """RGB image (H, W, 3) uint8 -> (3, H, W) float32 in [0, 1]."""
    return colours(torch.from_numpy(image.copy()).permute(2, 0, 1))


def image_bytes(sample: Sample) -> Tensor:
    """The RGB image of a sample, (3, H, W) uint8; raises as `data.files.working_size.sample_image`."""
    return torch.from_numpy(sample_image(sample).copy()).permute(2, 0, 1)


def colours(images: Tensor) -> Tensor:
    """Images as bytes (..., 3, H, W), uint8 -> float32 in [0, 1]."""
    return images.float() / 255


def image_tensor(sample: Sample) -> Tensor:
    """The RGB image of a sample, (3, H, W) float32 in [0, 1]; raises as `data.files.working_size.sample_image`."""
    return rgb_tensor(sample_image(sample))


BATCH_PIXELS = 2**24
"""Pixels of the images in a batch, at most; one image may have more."""

BATCH_VALUES = 2**28
"""Values that a network returns for a batch, at most: 1 GB. One image may have more."""


def batches_of_one_size(
    samples: Sequence[Sample], batch_size: int, values_per_pixel: float = 1.0
) -> Iterator[list[int]]:
    """Yield positions of samples. The images of a group have the same size.

    A group has at most `batch_size` images, `BATCH_PIXELS` pixels and `BATCH_VALUES` results. A network returns
    `values_per_pixel` results. A group has at least one image.
    """
    by_size: dict[tuple[int, int], list[int]] = {}
    for index, sample in enumerate(samples):
        by_size.setdefault(sample.size, []).append(index)
    for (height, width), indices in by_size.items():
        pixels = max(height * width, 1)
        count = max(1, min(batch_size, BATCH_PIXELS // pixels, int(BATCH_VALUES / (pixels * values_per_pixel))))
        for start in range(0, len(indices), count):
            yield indices[start : start + count]
