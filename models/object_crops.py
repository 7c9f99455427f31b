"""An object as a small square image at its own scale, without what is around it."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def crop_object(
    image: Tensor, mask: np.ndarray, size: int, margin: float, suppress: bool, fill: tuple[float, ...]
) -> tuple[Tensor, Tensor]:
    """Square crop around a mask, resized (bilinear) to `size` pixels.

    Parameters
    ----------
    image : Tensor, (3, H, W), float in [0, 1]
    mask : ndarray, (H, W), bool
        At least one pixel.
    size : int
        Side of the result in pixels.
    margin : float
        On each side, as a share of the longer side of the box of the mask.
    suppress : bool
        Give all pixels outside the mask the colour `fill`. Pixels beyond the image have it in any case.
    fill : tuple of 3 floats, in [0, 1]

    Returns
    -------
    crop : Tensor, (3, size, size)
    weight : Tensor, (size, size), float in [0, 1]
        Share of each pixel in the mask.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    height, width = mask.shape
    middle = (columns[0] + columns[-1] + 1) / 2, (rows[0] + rows[-1] + 1) / 2
    side = max(columns[-1] - columns[0], rows[-1] - rows[0]) + 1
    side *= 1 + 2 * margin
    inside = torch.from_numpy(mask)[None].to(image.dtype)
    colour = torch.tensor(fill, dtype=image.dtype)[:, None, None]
    # Relative to the fill colour: what grid_sample pads with zeros has that colour.
    shifted = (image - colour) * (inside if suppress else 1.0)
    scale_x, scale_y = side / width, side / height
    move_x, move_y = 2 * middle[0] / width - 1, 2 * middle[1] / height - 1
    transform = torch.tensor([[[scale_x, 0.0, move_x], [0.0, scale_y, move_y]]], dtype=image.dtype)
    grid = F.affine_grid(transform, [1, 4, size, size], align_corners=False)
    found = F.grid_sample(torch.cat([shifted, inside])[None], grid, align_corners=False)[0]
    return found[:3] + colour, found[3]


MOSTLY = 0.5
"""Share in the mask from which a cell is a part of the object."""


def object_keys(features: Tensor, weights: Tensor, pooling: str, power: float = 3.0) -> Tensor:
    """What describes an object: one vector, or one for each of its cells. `models.templates` compares them.

    ``patches``: f_i of each cell whose share w_i in the mask is `MOSTLY` or more, or of that with the largest share.
    ``mean``: sum_i w_i f_i / sum_i w_i. ``gem``: (sum_i w_i max(f_i, 0)^p / sum_i w_i)^(1/p), generalised mean pooling
    (Radenovic, Tolias and Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2019).

    Parameters
    ----------
    features : Tensor, (B, h, w, D)
    weights : Tensor, (B, S, S)
        Shares in the mask, `crop_object`; averaged over cells.
    pooling : {"patches", "mean", "gem"}
    power : float
        p.

    Returns
    -------
    Tensor, (B, P, D)
        Vectors of length 1; zeros for cells that are no part of the object. P = h w for ``patches``, else 1.
    """
    shares = F.adaptive_avg_pool2d(weights[:, None], (features.shape[1], features.shape[2]))[:, 0, :, :, None]
    if pooling == "patches":
        shares = shares.flatten(1, 2)
        is_part = (shares >= MOSTLY) | (shares >= shares.amax(1, keepdim=True))
        return F.normalize(features.flatten(1, 2), dim=2) * is_part
    shares = shares.clamp(min=1e-6)
    total = shares.sum((1, 2))
    if pooling == "gem":
        pooled = ((features.clamp(min=1e-6) ** power * shares).sum((1, 2)) / total) ** (1 / power)
    else:
        pooled = (features * shares).sum((1, 2)) / total
    return F.normalize(pooled, dim=1)[:, None]
