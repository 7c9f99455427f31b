import numpy as np
import pytest
import torch
from torch import nn

from tasks.runtime.onnx_int8 import int8_bytes
from tasks.runtime.onnx_network import ImageNetwork, onnx_bytes, session_of
from tasks.runtime.tensors import Normalisation

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter speaks of its successor


class Colours(nn.Module):
    """Logits that are higher for the colour of their class: red, green, blue."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Conv2d(6, 3, 1)
        with torch.no_grad():
            self.first.weight.zero_()[:, :, 1, 1] = torch.cat([torch.eye(3), -torch.eye(3)])
            self.last.weight[:, :, 0, 0] = torch.cat([torch.eye(3), -torch.eye(3)], dim=1)

    def forward(self, seen):
        return self.last(self.norm(self.first(seen)).relu())


def test_convolutions_are_in_8_bits_and_labels_stay():
    torch.manual_seed(0)
    wrapped = ImageNetwork(Colours(), Normalisation((0.5,) * 3, (0.25,) * 3), 3).eval()
    image = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    content = onnx_bytes(wrapped, torch.from_numpy(image[None]))
    smaller = int8_bytes(content, [image, image[:16, :30]])  # sizes may differ
    kinds = [node.op_type for node in onnx.load_from_string(smaller).graph.node]
    assert kinds.count("Conv") == 2
    assert kinds.count("QuantizeLinear") >= 2
    assert "BatchNormalization" not in kinds
    stored = {tensor.data_type for tensor in onnx.load_from_string(smaller).graph.initializer if len(tensor.dims) == 4}
    assert stored == {onnx.TensorProto.INT8}
    labels, scores = session_of(content).run(None, {"image": image[None]})
    found, found_scores = session_of(smaller).run(None, {"image": image[None]})
    ordered = np.sort(image.astype(int), axis=-1)
    clear = (ordered[..., 2] - ordered[..., 1] > 8)[None]  # 8 bits tell colours apart that differ by some counts
    assert clear.mean() > 0.5
    assert (labels == found)[clear].all()
    assert np.abs(scores - found_scores).max() < 0.1
