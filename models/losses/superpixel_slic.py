"""Regulariser that makes learned superpixels similar to SLIC (de Jong, Holenderski, arXiv 2510.15756).

The form is that of Yang et al., CVPR 2020 (SpixelFCN). The weights that the source does not give are parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.losses.whole_batch import share_of_mean
from models.segmentation.superpixel_pooling import reconstruct


class SuperpixelSlicLoss(nn.Module):
    """L = mean_p ( ||c_p - c^_p|| + (m / S) ||x_p - x^_p|| ): colour c and position x of pixels from their superpixels.

    c^ and x^ are reconstructions after pooling to superpixels and back: u_s = sum_p Q_s(p) f_p / sum_p Q_s(p),
    f^_p = sum_s Q_s(p) u_s. Norms are Euclidean. The mean over pixels, instead of the sum, makes the weight
    independent of the image size.

    Parameters
    ----------
    compactness : float
        m, weight of position against colour. SpixelFCN: 0.003 for colours in Lab / 26. Here colours are in [0, 1].

    Examples
    --------
    >>> import torch
    >>> image, shares = torch.zeros(1, 3, 4, 4), torch.zeros(1, 9, 4, 4)
    >>> shares[:, 4] = 1.0  # every pixel belongs to its own cell of 2 x 2 pixels alone
    >>> round(float(SuperpixelSlicLoss(compactness=1.0)(image, [shares])), 4)  # 0.7071 / S, S = 2
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
            Colours of the images, in any colour space.
        steps : sequence of Tensor, (B, 9, H, W), (B, 9, H/2, W/2), ...
            Assignments Q, the finest first. Each step halves the grid: S = 2^len(steps).

        Returns
        -------
        Tensor, scalar

        Raises
        ------
        ValueError
            If the first step does not have the size of the images.
        """
        if not steps or steps[0].shape[-2:] != colours.shape[-2:]:
            sizes = [tuple(step.shape[-2:]) for step in steps]
            raise ValueError(
                f"the first step must have the size of the images, {tuple(colours.shape[-2:])}; the steps have {sizes}"
            )
        height, width = colours.shape[-2:]
        rows = torch.arange(height, device=colours.device, dtype=colours.dtype).view(1, 1, -1, 1)
        columns = torch.arange(width, device=colours.device, dtype=colours.dtype).view(1, 1, 1, -1)
        positions = torch.cat(
            [rows.expand(len(colours), 1, height, width), columns.expand(len(colours), 1, height, width)], 1
        )
        features = torch.cat([colours, positions], 1)
        error = features - reconstruct(features, list(steps))
        # A small number is added, since the square root has no gradient at 0, where a superpixel has one colour.
        colour_error, position_error = (
            part.square().sum(1).add(1e-12).sqrt().mean() for part in error.split([colours.shape[1], 2], 1)
        )
        return share_of_mean(colour_error + self.compactness / 2 ** len(steps) * position_error, len(colours))
