"""Objects of one training image pasted into another (Ghiasi et al., CVPR 2021: Simple Copy-Paste), from seeds alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from data.sample import BACKGROUND, UNLABELLED

Item = Mapping[str, Tensor]
"""What is known of an image: name -> map, (..., H, W); each has the same H and W."""


@dataclass(frozen=True)
class Pasting:
    """What is pasted, and how often.

    Attributes
    ----------
    share : float
        Of the images, those of a mosaic each for itself, that get the objects of another one.
    objects_of : callable
        From an image's maps, where it has objects, (H, W) bool.
    """

    share: float
    objects_of: Callable[[Item], Tensor]


def seeded_objects(seed: Tensor, superpixel: Tensor, nothing: int) -> Tensor:
    """Where an image has objects, as far as its seed tells: superpixels with more foreground than background seeds.

    Parameters
    ----------
    seed : Tensor, (H, W), integer: 0, 1..K or 255 = unlabelled
    superpixel : Tensor, (H, W), integer
    nothing : int
        The superpixel number of pixels in none; of these, the foreground seeds count as object.

    Returns
    -------
    Tensor, (H, W), bool
    """
    foreground = (seed != BACKGROUND) & (seed != UNLABELLED)
    inside = superpixel != nothing
    numbers = superpixel.long().where(inside, 0).flatten()
    votes = (foreground.double() - (seed == BACKGROUND).double()) * inside
    balance = torch.bincount(numbers, weights=votes.flatten())
    return torch.where(inside, balance[numbers].view_as(seed) > 0, foreground)


def pasted(under: Item, over: Item, mask: Tensor, centre: Sequence[float]) -> dict[str, Tensor]:
    """`under` with the masked pixels of `over` on top of it, moved so that their bounding box is centred at `centre`.

    Parameters
    ----------
    under, over : name -> Tensor, (..., H, W)
        The same names in both.
    mask : Tensor, (H, W), bool; at least one pixel
    centre : (y, x), each in [0, 1) of the height and width
        What is moved over the border is cut off.

    Returns
    -------
    dict, name -> Tensor, the shapes and dtypes of `under`
    """
    source, target = [], []
    for axis, (side, part) in enumerate(zip(mask.shape, centre, strict=True)):
        at = mask.any(1 - axis).nonzero()
        first, end = int(at[0]), int(at[-1]) + 1
        shift = int(part * side) - (first + end) // 2
        first, end = max(first, -shift), min(end, side - shift)
        source.append(slice(first, end))
        target.append(slice(first + shift, end + shift))
    found = {}
    for name, values in under.items():
        found[name] = values.clone()
        found[name][..., target[0], target[1]] = torch.where(
            mask[source[0], source[1]], over[name][..., source[0], source[1]], values[..., target[0], target[1]]
        )
    return found
