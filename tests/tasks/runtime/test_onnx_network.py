import numpy as np
import pytest
import torch
from torch import nn

from models.segmentation import NETWORKS
from tasks.runtime.networks import build_network
from tasks.runtime.onnx_network import OPSET, ImageNetwork, largest_difference, onnx_bytes, session_of
from tasks.runtime.tensors import Normalisation

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter speaks of its successor

NORMALISATION = Normalisation((0.4, 0.5, 0.6), (0.2, 0.3, 0.1))
SIZES = [(1, 64, 96), (1, 45, 71), (2, 33, 130)]


def images(size, seed=0):
    return torch.randint(0, 256, (*size, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def plain(network, seen, scale):
    """Labels and scores by the words: normalise, scale, upsample the logits, softmax, the largest."""
    with torch.no_grad():
        shaped = (seen.permute(0, 3, 1, 2) / 255.0 - torch.tensor(NORMALISATION.mean).view(3, 1, 1)) / torch.tensor(
            NORMALISATION.std
        ).view(3, 1, 1)
        found = network(nn.functional.interpolate(shaped, scale_factor=scale, mode="bilinear"))
        logits = getattr(found, "logits", found)
        logits = nn.functional.interpolate(logits, size=seen.shape[1:3], mode="bilinear", align_corners=False)
        return logits.softmax(1).max(1)


KINDS = [*((name, {}) for name in NETWORKS), ("superpixel_fcn", {"upsampling": "bilinear"})]


@pytest.mark.parametrize(
    ("name", "settings", "scale"),
    [*((*kind, 1.0) for kind in KINDS), (*KINDS[0], 2.0), (*KINDS[0], 0.7)],
)
def test_the_file_gives_labels_and_scores_of_the_network_at_any_size(name, settings, scale):
    torch.manual_seed(0)
    network = build_network(name, 4, {"backbone": "test_efficientnet", **settings}).eval()
    wrapped = ImageNetwork(network, NORMALISATION, 5, scale).eval()
    content = onnx_bytes(wrapped, images(SIZES[0]))
    assert {entry.domain: entry.version for entry in onnx.load_from_string(content).opset_import} == {"": OPSET}
    session = session_of(content)
    for size in SIZES:
        seen = images(size, 1)
        labels, scores = session.run(["labels", "scores"], {"image": seen.numpy()})
        expected, chosen = plain(network, seen, scale)
        assert (labels.dtype, scores.dtype, labels.shape) == (np.uint8, np.float32, size)
        assert np.allclose(scores, expected, atol=1e-5)
        assert (labels == chosen.numpy()).mean() > 0.999
    assert largest_difference(wrapped, content, [images(size, 2) for size in SIZES]) < 1e-4


class ByChannel(nn.Module):
    """Logits from the channels of an image."""

    def __init__(self, num_classes=3, scale=8.0):
        super().__init__()
        self.conv = nn.Conv2d(3, num_classes, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.zero_()[:3, :, 0, 0] = scale * torch.eye(3)

    def forward(self, seen):
        return self.conv(seen)


def test_another_network_differs():
    mine, other = (ImageNetwork(ByChannel(scale=scale), NORMALISATION, 3).eval() for scale in (0.1, 0.2))
    content = onnx_bytes(mine, images((1, 8, 8)))
    assert largest_difference(mine, content, [images((1, 9, 7))]) < 1e-6
    assert largest_difference(other, content, [images((1, 9, 7))]) > 0.05
    turned = ImageNetwork(ByChannel(scale=-0.1), NORMALISATION, 3).eval()
    assert largest_difference(turned, content, [images((1, 9, 7))]) > 0.05
    with torch.no_grad():
        other.network.conv.weight.fill_(np.nan)
    assert largest_difference(other, content, [images((1, 9, 7))]) == np.inf


def test_a_thousand_classes_have_labels_beyond_a_byte():
    wrapped = ImageNetwork(ByChannel(num_classes=1000), NORMALISATION, 1000).eval()
    with torch.no_grad():
        wrapped.network.conv.weight[999] = wrapped.network.conv.weight[0] * 2
    bright = torch.full((1, 8, 8, 3), 255, dtype=torch.uint8)
    labels, _ = session_of(onnx_bytes(wrapped, bright)).run(None, {"image": bright.numpy()})
    assert labels.dtype == np.int32
    assert (labels == wrapped(bright)[0].numpy()).all()
    assert labels.max() == 999
