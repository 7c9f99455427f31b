"""Objects of photographs beside the data set that are pasted into training images, at their true size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from data.files.pixels import read_colours
from data.readers.cutouts import Cutout
from models.foreground import foreground_of
from tasks.runtime.tensors import rgb_tensor

if TYPE_CHECKING:
    from tasks.runtime.training_images import MapSource

FEATHER = 3
"""Pixels over which the border of a photograph without transparency fades into the image."""

SCALES = (0.2, 4.0)
"""Smallest and largest scale of a photograph."""


@dataclass(frozen=True)
class Cutouts:
    """Pastes objects into images (ours; Dwibedi et al., ICCV 2017: Cut, Paste and Learn, with the scale of the depth).

    Attributes
    ----------
    photographs : sequence of Cutout
    most : int
        Largest number of objects in an image. All numbers from 0 on are as likely, and so are all classes.
    distance : float
        Metres between the camera and the objects of the photographs. The camera is that of the data set.
    """

    photographs: Sequence[Cutout]
    most: int
    distance: float

    @cached_property
    def _of_class(self) -> list[list[Cutout]]:
        """The photographs of each class that has any."""
        found = defaultdict(list)
        for cutout in self.photographs:
            found[cutout.class_number].append(cutout)
        return [found[number] for number in sorted(found)]

    def paste(
        self,
        image: Tensor,
        layers: Mapping[str, Tensor],
        sources: Mapping[str, MapSource],
        tags: Tensor,
        rng: np.random.Generator,
        shrunk: float = 1.0,
    ) -> None:
        """Paste objects into an image in place.

        An object stands on a measured pixel. There, the depth Z gives its scale, ``distance / Z``: so it is as large as
        the object would be. Without depth, the scale is 1. In the maps, the pasted pixels become padding, so depth,
        which was measured of what lies beneath, is not ``valid``; maps of classes get the class where the object
        surely is.

        Parameters
        ----------
        image : Tensor, (3, H, W), float in [0, 1]
        layers : dict of name -> Tensor, (H, W)
            Maps of the image. The scale is that of ``depth`` at the pixels of ``valid``, if they are there.
        sources : dict of name -> MapSource
            What the maps are.
        tags : Tensor, (K,)
            The classes of the objects become 1.
        rng : Generator
        shrunk : float
            The image is seen so many times its full size; so are the photographs.
        """
        for _ in range(int(rng.integers(self.most + 1))):
            of_class = self._of_class[int(rng.integers(len(self._of_class)))]
            photograph, class_number = of_class[int(rng.integers(len(of_class)))]
            row, column, scale = self._place(layers, image.shape[-2:], rng)
            colours, opacity, sure = _scaled(read_colours(photograph, "RGBA"), scale * shrunk)
            top, left = row - colours.shape[-2], column - colours.shape[-1] // 2
            first_row, first_column = max(top, 0), max(left, 0)
            inside = (slice(first_row, row), slice(first_column, left + colours.shape[-1]))
            target = image[:, inside[0], inside[1]]
            seen = (
                slice(first_row - top, first_row - top + target.shape[-2]),
                slice(first_column - left, first_column - left + target.shape[-1]),
            )
            colours, opacity, sure = (values[..., seen[0], seen[1]] for values in (colours, opacity, sure))
            target.copy_(opacity * colours + (1 - opacity) * target)
            for name, values in layers.items():
                if values.is_floating_point():  # depth: `valid` says that it no longer holds. Padding would be a step
                    continue  # that grows into the surroundings when the map is enlarged
                part = values[inside]
                part[opacity > 0] = sources[name].padding
                if sources[name].holds_classes:
                    part[sure] = class_number
            tags[class_number - 1] = 1

    def _place(self, layers, size, rng) -> tuple[int, int, float]:
        """Row and column of the pixel on which an object stands, and its scale."""
        height, width = size
        measured = np.flatnonzero(layers["valid"].numpy()) if "valid" in layers else np.empty(0, int)
        if not len(measured):
            return int(rng.integers(height)) + 1, int(rng.integers(width)), 1.0
        row, column = divmod(int(measured[rng.integers(len(measured))]), width)
        return row + 1, column, float(np.clip(self.distance / float(layers["depth"][row, column]), *SCALES))


def _scaled(photograph: np.ndarray, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """A photograph (h, w, 4) uint8 at a scale: colours (3, H, W), opacity (H, W), and where the object surely is."""
    colours, alpha = rgb_tensor(photograph[..., :3]), torch.from_numpy(photograph[..., 3].copy()).float() / 255
    if photograph[..., 3].min() == 255:
        sure, opacity = torch.from_numpy(foreground_of(photograph[..., :3])).float(), None
    else:
        sure, opacity = alpha, alpha
    size = [max(2, round(side * scale)) for side in alpha.shape]

    def resized(values: Tensor) -> Tensor:
        return F.interpolate(values[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]

    colours, sure = resized(colours), resized(sure[None])[0] > 0.5
    return colours, _faded(size) if opacity is None else resized(opacity[None])[0], sure


def _faded(size: Sequence[int]) -> Tensor:
    """Opacity of a photograph that fades towards its border, (H, W) in (0, 1]."""
    sides = [torch.arange(side) + 0.5 for side in size]
    rows, columns = (torch.minimum(side, len(side) - side) for side in sides)
    return (torch.minimum(rows[:, None], columns[None]) / FEATHER).clamp(max=1.0)
