"""How the patches of an object resemble each other: the maps of figure 3.14 of S. Kim, SNU 2022."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def positiveness(features: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """For each patch of an object: how many of its patches have a positive similarity to it, and how many a negative.

    The similarity of two patches is the cosine A of eq. 3.1. A patch is positively similar to itself.

    Parameters
    ----------
    features : Tensor, (N, D), float
        One vector per patch.
    inside : Tensor, (N,), bool
        The patches of the object.

    Returns
    -------
    positive, negative : Tensor, (N,), int64
        0 outside the object.

    Examples
    --------
    >>> import torch
    >>> features = torch.tensor([[1.0, 0.0], [1.0, 0.2], [-1.0, 0.1], [0.0, 1.0]])
    >>> positive, negative = positiveness(features, torch.tensor([True, True, True, False]))
    >>> positive.tolist(), negative.tolist()
    ([2, 2, 1, 0], [1, 1, 2, 0])
    """
    unit = F.normalize(features.float(), dim=1)[inside]
    similarity = unit @ unit.T
    counts = []
    for is_of_sign in (similarity > 0, similarity < 0):
        found = inside.new_zeros(inside.shape).long()
        found[inside] = is_of_sign.sum(1)
        counts.append(found)
    return counts[0], counts[1]
