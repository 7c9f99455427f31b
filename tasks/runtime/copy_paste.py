"""Copy-paste augmentation (Ghiasi et al., CVPR 2021: Simple Copy-Paste). Seeds replace the masks of objects (ours)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from data.sample import BACKGROUND, UNLABELLED

Item = Mapping[str, Tensor]
"""An image and its maps: name -> Tensor, (..., H, W), with the same H and W."""


@dataclass(frozen=True)
class Pasting:
    """What is pasted, and how often.

    Attributes
    ----------
    share : float
        Share of the images that get the objects of another image. Each image of a mosaic counts separately.
    objects_of : callable
        Maps of an image -> where the image shows objects, (H, W) bool.
    """

    share: float
    objects_of: Callable[[Item], Tensor]


def seeded_objects(seed: Tensor, superpixel: Tensor, nothing: int) -> Tensor:
    """Where the seed of an image shows objects: superpixels with more foreground than background seeds (ours).

    Parameters
    ----------
    seed : Tensor, (H, W), integer: 0, 1..K or 65535 = unlabelled
    superpixel : Tensor, (H, W), integer
    nothing : int
        Number of the pixels that belong to no superpixel. Among them, the foreground seeds are objects.

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
    """Paste the masked pixels of `over` into `under`, with the centre of their bounding box at `centre`.

    Parameters
    ----------
    under, over : name -> Tensor, (..., H, W)
        The same names in both.
    mask : Tensor, (H, W), bool; at least one pixel
    centre : (y, x), each in [0, 1), relative to height and width
        Pixels that are moved beyond the border are cut off.

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
