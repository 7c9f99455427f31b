"""A small batch for the losses on maps."""

import pytest
import torch


@pytest.fixture
def map_loss_batch():
    """Every input that a loss on maps may declare (`models.losses.map_loss.MapLoss.inputs`).

    Two images of 64 x 96 pixels with a box on a table, three classes, maps of stride 16. Class 1 of the first image
    and classes 0 and 2 of the second are absent.
    """
    torch.manual_seed(0)
    depth = torch.full((2, 1, 64, 96), 0.6)
    depth[..., 20:44, 30:60] = 0.5
    maps = torch.randn(2, 3, 4, 6)
    return {
        "maps": maps,
        "cams": maps.relu(),
        "tags": torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]),
        "image": torch.rand(2, 3, 64, 96),
        "depth": depth,
        "valid": torch.rand(depth.shape) > 0.05,
    }
