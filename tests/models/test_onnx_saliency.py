"""Saliency by an ONNX network of one convolution."""

import pytest
import torch

from models.onnx_saliency import OnnxSaliency

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def brightness_network(size=32, scale=1.0, channels=3) -> bytes:
    """An ONNX file whose output is `scale` times the mean of the channels."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weight = helper.make_tensor("weight", kind, [1, channels, 1, 1], [scale / channels] * channels)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weight"], ["map"])],
        "brightness",
        [helper.make_tensor_value_info("image", kind, [1, channels, size, size])],
        [helper.make_tensor_value_info("map", kind, [1, 1, size, size])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def half_bright(height=24, width=40):
    image = torch.full((3, height, width), 0.2)
    image[:, :, width // 2 :] = 0.9
    return image


def test_map_has_the_images_size_and_the_networks_values():
    found = OnnxSaliency(brightness_network(), mean=(0, 0, 0))(half_bright())
    assert found.shape == (24, 40)
    assert found.dtype == torch.float32
    assert torch.allclose(found[:, :15], torch.tensor(0.2))
    assert torch.allclose(found[:, 25:], torch.tensor(0.9))


def test_mean_and_deviation_are_applied_and_the_result_is_clipped():
    found = OnnxSaliency(brightness_network(), mean=(0.2,) * 3, std=(0.5,) * 3)(half_bright())
    assert torch.allclose(found[:, :15], torch.tensor(0.0), atol=1e-6)
    assert torch.allclose(found[:, 25:], torch.tensor(1.0))


def test_normalise_stretches_to_the_whole_range():
    found = OnnxSaliency(brightness_network(scale=0.01), mean=(0, 0, 0), normalise=True)(half_bright())
    assert float(found.min()) == pytest.approx(0, abs=1e-5)
    assert float(found.max()) == pytest.approx(1, abs=1e-5)


def test_a_size_that_the_file_does_not_fix_is_that_of_the_setting():
    network = OnnxSaliency(brightness_network("side"), size=48, mean=(0, 0, 0))
    assert network.size == (48, 48)
    assert network(half_bright()).shape == (24, 40)


def test_it_takes_as_many_threads_as_torch(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    options = OnnxSaliency(brightness_network()).session.get_session_options()
    assert options.intra_op_num_threads == 3
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_bytes_that_are_not_such_a_network_are_refused():
    with pytest.raises(ValueError, match="is not an ONNX network"):
        OnnxSaliency(b"something else")
    with pytest.raises(ValueError, match="an image .* is needed"):
        OnnxSaliency(brightness_network(channels=1))
