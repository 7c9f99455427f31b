"""Both segmentation networks as ONNX files, run by onnxruntime."""

import warnings

import pytest
import torch

from models.backbones import build_backbone
from models.segmentation import DeepLabAspp, SuperpixelFcn
from models.segmentation.superpixel_fcn import build_encoder
from tasks.runtime.onnx_network import ImageNetwork, largest_difference, onnx_bytes
from tasks.runtime.tensors import Normalisation

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("name", ["deeplab", "superpixel", "bilinear"])
def test_the_file_gives_what_the_network_gives(name):
    torch.manual_seed(0)
    if name == "deeplab":
        network = DeepLabAspp(build_backbone("test_efficientnet", 16), 4, (1, 2))
    else:
        network = SuperpixelFcn(build_encoder("test_efficientnet"), 4, name)
    wrapped = ImageNetwork(network, Normalisation((0.5,) * 3, (0.5,) * 3)).eval()
    image = torch.rand(1, 3, 48, 70)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter speaks of its successor, and of sizes that become constants
        model = onnx_bytes(wrapped, image)
    assert largest_difference(wrapped, model, torch.rand(1, 3, 48, 70)) < 1e-4


def test_a_result_that_is_no_number_is_an_infinite_difference():
    """NaN is neither larger nor smaller than a tolerance."""

    class Root(torch.nn.Module):
        def forward(self, images):
            return (images - 2).sqrt()

    image = torch.rand(1, 3, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        model = onnx_bytes(Root(), image)
    assert largest_difference(Root(), model, image) == float("inf")
