"""Saliency by an ONNX network of one convolution."""

import pytest
import torch

from models.onnx_saliency import OnnxSaliency

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def onnx_file(nodes, inputs, outputs, weights=(), kind="FLOAT") -> bytes:
    """An ONNX file of 32-bit floats; `inputs` and `outputs`: name -> shape, `kind`: type of the outputs."""
    helper, types = onnx.helper, onnx.TensorProto
    taken = [helper.make_tensor_value_info(name, types.FLOAT, shape) for name, shape in inputs.items()]
    given = [helper.make_tensor_value_info(name, getattr(types, kind), shape) for name, shape in outputs.items()]
    graph = helper.make_graph([helper.make_node(*node) for node in nodes], "graph", taken, given, list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def brightness_network(size=32, scale=1.0, channels=3, batch=1) -> bytes:
    """An ONNX file whose output is `scale` times the mean of the channels."""
    weight = onnx.helper.make_tensor(
        "weight", onnx.TensorProto.FLOAT, [1, channels, 1, 1], [scale / channels] * channels
    )
    width, height = (size, size) if not isinstance(size, tuple) else size
    return onnx_file(
        [("Conv", ["image", "weight"], ["map"])],
        {"image": [batch, channels, width, height]},
        {"map": [batch, 1, width, height]},
        [weight],
    )


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


def test_mean_and_deviation_are_applied():
    found = OnnxSaliency(brightness_network(), mean=(0.2,) * 3, std=(1.4,) * 3)(half_bright())
    assert torch.allclose(found[:, :15], torch.tensor(0.0), atol=1e-6)
    assert torch.allclose(found[:, 25:], torch.tensor(0.5))


def test_rounding_beyond_0_and_1_is_clipped():
    found = OnnxSaliency(brightness_network(), mean=(0.201,) * 3, std=(0.698,) * 3)(half_bright())
    assert float(found.min()) == 0
    assert float(found.max()) == 1


def test_normalise_stretches_to_the_whole_range():
    found = OnnxSaliency(brightness_network(scale=0.01), mean=(0, 0, 0), normalise=True)(half_bright())
    assert float(found.min()) == pytest.approx(0, abs=1e-5)
    assert float(found.max()) == pytest.approx(1, abs=1e-5)


def test_a_size_that_the_file_does_not_fix_is_that_of_the_setting():
    network = OnnxSaliency(brightness_network("side"), size=48, mean=(0, 0, 0))
    assert network.size == (48, 48)
    assert OnnxSaliency(brightness_network((16, "side")), size=48).size == (16, 48)
    assert network(half_bright()).shape == (24, 40)


def test_it_takes_as_many_threads_as_torch(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    options = OnnxSaliency(brightness_network()).session.get_session_options()
    assert options.intra_op_num_threads == 3
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_it_computes_here_and_in_no_other_way():
    """The package of onnxruntime has a provider that sends data to a server, and some that load compiled files."""
    assert set(OnnxSaliency(brightness_network()).session.get_providers()) <= {
        "CUDAExecutionProvider", "CPUExecutionProvider",
    }  # fmt: skip


def refusal(content, **settings) -> str:
    with pytest.raises(ValueError) as caught:
        OnnxSaliency(content, **settings)(half_bright())
    assert "\n" not in str(caught.value)
    return str(caught.value)


IMAGE, THREE, ONE = {"image": [1, 3, 8, 8]}, {"map": [1, 3, 8, 8]}, {"map": [1, 1, 8, 8]}
NO_NETWORKS = {
    "text": (b"something else", "is not an ONNX network"),
    "empty": (b"", "is not an ONNX network"),
    "cut": (brightness_network()[:-30], "is not an ONNX network"),
    "grey": (brightness_network(channels=1), "an image (1, 3, S, S) of 32-bit floats with S up to 8192 is needed"),
    "batch": (brightness_network(batch=4), "input is tensor(float) of shape [4, 3, 32, 32]; an image"),
    "huge": (brightness_network(10_000), "of shape [1, 3, 10000, 10000]; an image"),
    "vector": (onnx_file([("Neg", ["a"], ["b"])], {"a": [4]}, {"b": [4]}), "of shape [4]; an image"),
    "two inputs": (
        onnx_file([("Add", ["image", "more"], ["map"])], {**IMAGE, "more": [1]}, THREE),
        "has 2 inputs; a network with one image",
    ),
    "unknown operator": (onnx_file([("Nothing", ["image"], ["map"])], IMAGE, THREE), "is not an ONNX network"),
    "no operator": (onnx_file([], IMAGE, IMAGE), "is not an ONNX network (it has no operator)"),
    "three maps": (onnx_file([("Abs", ["image"], ["map"])], IMAGE, THREE), "first output has shape (1, 3, 8, 8)"),
    "a number": (onnx_file([("Size", ["image"], ["map"])], IMAGE, {"map": []}, kind="INT64"), "has shape ()"),
    "not finite": (brightness_network(scale=float("nan")), "its map has values that are not finite"),
    "no sigmoid": (brightness_network(scale=10), "its map has values from 2 to 9, not from 0 to 1; set --LoadSaliency"),
    "below 0": (brightness_network(scale=-1), "its map has values from -0.9 to -0.2, not from 0 to 1"),
}


@pytest.mark.parametrize("name", NO_NETWORKS)
def test_a_file_that_is_no_such_network_is_one_line(name):
    content, reason = NO_NETWORKS[name]
    assert reason in refusal(content, mean=(0, 0, 0))


def test_a_network_that_fails_on_an_image_is_one_line():
    shape = onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [4], [1, 1, 8, 8])
    content = onnx_file([("Reshape", ["image", "shape"], ["map"])], {"image": [1, 3, "h", "w"]}, ONE, [shape])
    assert "cannot be run (" in refusal(content, size=16)


def test_three_means_are_needed():
    assert refusal(brightness_network(), mean=(0.5,)) == "needs 3 means and 3 standard deviations, not 1 and 3"


def test_a_lack_of_memory_stays_one(monkeypatch):
    network = OnnxSaliency(brightness_network())

    class Session:
        def run(self, *_):
            raise RuntimeError("[ONNXRuntimeError] : Failed to allocate memory for requested buffer of size 9")

    monkeypatch.setattr(network, "session", Session())
    with pytest.raises(MemoryError, match="Failed to allocate"):
        network(half_bright())
