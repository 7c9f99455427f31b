import numpy as np
import pytest
import torch

from models.depth_edges import inverse_depth_curvature
from models.depth_estimation import DepthEstimator, depth_of_disparity


def test_quantiles_become_near_and_far_and_the_order_is_reversed():
    disparity = torch.linspace(3.0, 7.0, 1001).reshape(7, 143)
    depth = depth_of_disparity(disparity, near=0.5, far=2.0)
    flat = depth.flatten()
    assert float(flat[10]) == pytest.approx(2.0, rel=1e-3)
    assert float(flat[990]) == pytest.approx(0.5, rel=1e-3)
    assert (flat.diff() < 0).all()


def test_scale_and_offset_of_the_network_do_not_matter():
    disparity = torch.rand(20, 30, generator=torch.Generator().manual_seed(0))
    moved = 40 * disparity + 5
    assert torch.allclose(depth_of_disparity(disparity, 0.5, 2), depth_of_disparity(moved, 0.5, 2), rtol=1e-4)


def test_a_plane_stays_a_plane():
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(50.0), indexing="ij")
    depth = depth_of_disparity((0.3 + 0.01 * rows + 0.02 * columns).double(), 0.5, 2.0)
    curvature, known = inverse_depth_curvature((1 / depth)[None, None], torch.ones(1, 1, 40, 50, dtype=torch.bool))
    assert float(curvature[known].max()) < 1e-6


def test_constant_disparity_is_far():
    assert (depth_of_disparity(torch.full((4, 5), 3.0), 0.5, 2.0) == 2.0).all()


def test_a_tiny_network_of_the_library(tiny_depth_network):
    transformers = pytest.importorskip("transformers")
    network = transformers.AutoModelForDepthEstimation.from_pretrained(tiny_depth_network)
    processor = transformers.AutoImageProcessor.from_pretrained(tiny_depth_network)
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    estimator = DepthEstimator(network.eval(), processor)
    with torch.inference_mode():
        found = estimator(torch.stack([estimator.prepared(image)] * 2), (48, 64))
    assert found.shape == (2, 48, 64)
    assert found.dtype == torch.float32
    assert torch.equal(found[0], found[1])
