"""Regulariser that makes learned superpixels SLIC-like (de Jong, Holenderski, arXiv 2510.15756).

In the form of Yang et al., CVPR 2020 (SpixelFCN); the weights that the source leaves open are parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.segmentation.superpixel_pooling import reconstruct


class SuperpixelSlicLoss(nn.Module):
    """L = mean_p ( ||c_p - c^_p|| + (m / S) ||x_p - x^_p|| ): colour and place of a pixel from its superpixels.

    c^ and x^ are what remains after pooling to superpixels and back: u_s = sum_p Q_s(p) f_p / sum_p Q_s(p),
    f^_p = sum_s Q_s(p) u_s. Norms are Euclidean. The mean over pixels in place of the sum leaves the weight
    independent of the image's size.

    Parameters
    ----------
    compactness : float
        m. SpixelFCN: 0.003 for colours in Lab / 26; here colours are in [0, 1].

    Examples
    --------
    >>> import torch
    >>> image, shares = torch.zeros(1, 3, 4, 4), torch.zeros(1, 9, 4, 4)
    >>> shares[:, 4] = 1.0  # every pixel wholly in its own cell of 2 x 2
    >>> float(SuperpixelSlicLoss(compactness=1.0)(image, [shares]).round(decimals=4))  # 0.7071 / S = 2
    0.3536
    """

    def __init__(self, compactness: float = 0.03):
        super().__init__()
        self.compactness = compactness

    def forward(self, colours: Tensor, steps: Sequence[Tensor]) -> Tensor:
        """
        Parameters
        ----------
        colours : Tensor, (B, C, H, W)
            Of the images, whatever colour space.
        steps : sequence of Tensor, (B, 9, H, W), (B, 9, H/2, W/2), ...
            Assignments Q, the finest first; each step halves the grid, S = 2^len(steps).

        Returns
        -------
        Tensor, scalar

        Raises
        ------
        ValueError
            If the first step is not of the image's size.
        """
        if not steps or steps[0].shape[-2:] != colours.shape[-2:]:
            sizes = [tuple(step.shape[-2:]) for step in steps]
            raise ValueError(
                f"the first step must have the image's size {tuple(colours.shape[-2:])}; the steps have {sizes}"
            )
        height, width = colours.shape[-2:]
        rows = torch.arange(height, device=colours.device, dtype=colours.dtype).view(1, 1, -1, 1)
        columns = torch.arange(width, device=colours.device, dtype=colours.dtype).view(1, 1, 1, -1)
        places = torch.cat(
            [rows.expand(len(colours), 1, height, width), columns.expand(len(colours), 1, height, width)], 1
        )
        features = torch.cat([colours, places], 1)
        error = features - reconstruct(features, list(steps))
        # The square root has no gradient at 0, where a superpixel is of one colour.
        of_colour, of_place = (
            part.square().sum(1).add(1e-12).sqrt().mean() for part in error.split([colours.shape[1], 2], 1)
        )
        return of_colour + self.compactness / 2 ** len(steps) * of_place
