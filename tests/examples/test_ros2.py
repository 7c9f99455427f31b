"""The core of the ROS node without ROS: bytes of messages, and a network of one convolution in an exported folder."""

import ast
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FOLDER = Path(__file__).parents[2] / "examples" / "ros2"
spec = importlib.util.spec_from_file_location("segment_core", FOLDER / "segment_core.py")
core = importlib.util.module_from_spec(spec)
spec.loader.exec_module(core)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)


def message(pixels, padding=0):
    """Step and bytes of an image whose rows end with padding."""
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    return rows.shape[1], rows.tobytes()


def opaque(pixels):
    return np.concatenate([pixels, np.full_like(pixels[..., :1], 7)], axis=-1)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "stored"),
    [
        ("rgb8", lambda rgb: rgb),
        ("bgr8", lambda rgb: rgb[..., ::-1]),
        ("8UC3", lambda rgb: rgb[..., ::-1]),
        ("rgba8", opaque),
        ("bgra8", lambda rgb: opaque(rgb[..., ::-1])),
        ("8UC4", lambda rgb: opaque(rgb[..., ::-1])),
    ],
)
def test_colours_come_back(image, encoding, stored, padding):
    step, data = message(stored(image), padding)
    assert np.array_equal(core.rgb_of(encoding, 5, 6, step, False, data), image)


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_is_three_equal_channels(image, encoding):
    step, data = message(image[..., 0], 3)
    assert np.array_equal(core.rgb_of(encoding, 5, 6, step, False, data), np.repeat(image[..., :1], 3, axis=2))


@pytest.mark.parametrize(("is_bigendian", "kind"), [(False, "<u2"), (True, ">u2")])
def test_16_bits_are_scaled_down_in_either_byte_order(image, is_bigendian, kind):
    values = image[..., 0].astype(kind) * 256 + 17
    step, data = message(values.astype(kind), 2)
    found = core.rgb_of("mono16", 5, 6, step, is_bigendian, data)
    assert np.array_equal(found, np.repeat(image[..., :1], 3, axis=2))


@pytest.mark.parametrize(("encoding", "order"), [("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv"), ("yuv422", "uyvy")])
def test_yuv_is_converted_pixel_by_pixel(encoding, order):
    """ITU-R BT.601, from its words: grey 16..235, white, and the three primaries."""
    colours = {"white": (235, 128, 128), "black": (16, 128, 128), "red": (81, 90, 240), "blue": (41, 240, 110)}
    wanted = {"white": (255, 255, 255), "black": (0, 0, 0), "red": (254, 0, 0), "blue": (0, 0, 255)}
    for name, (y, u, v) in colours.items():
        values = {"y": y, "u": u, "v": v}
        row = np.array([values[letter] for letter in order] * 3, np.uint8)
        found = core.rgb_of(encoding, 2, 6, 12, False, np.stack([row, row]).tobytes())
        assert found.shape == (2, 6, 3)
        assert np.abs(found.astype(int) - wanted[name]).max() <= 2


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match="encoding 'bayer_rggb8' is unknown .*; convert the topic"):
        core.rgb_of("bayer_rggb8", 2, 2, 2, False, b"1234")
    with pytest.raises(ValueError, match="needs rows of 6 bytes, but the message has 11 bytes in rows of 6"):
        core.rgb_of("rgb8", 2, 2, 6, False, bytes(11))
    with pytest.raises(ValueError, match="in rows of 5"):
        core.rgb_of("rgb8", 2, 2, 5, False, bytes(12))
    with pytest.raises(ValueError, match="even width, not 3"):
        core.rgb_of("yuyv", 1, 3, 6, False, bytes(6))


def exported(folder, count):
    """A folder as ExportModel writes it, of a network that says which channel is the brightest."""
    helper, kind = onnx.helper, onnx.TensorProto
    type_ = kind.UINT8 if count <= 256 else kind.INT32
    shape = ["batch", "height", "width"]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["values"], to=kind.FLOAT),
            helper.make_node("ArgMax", ["values"], ["place"], axis=3, keepdims=0),
            helper.make_node("Mul", ["place", "last"], ["number"]),
            helper.make_node("Cast", ["number"], ["labels"], to=type_),
            helper.make_node("ReduceMax", ["values"], ["highest"], axes=[3], keepdims=0),
            helper.make_node("Div", ["highest", "full"], ["scores"]),
        ],
        "brightest",
        [helper.make_tensor_value_info("image", kind.UINT8, [*shape, 3])],
        [
            helper.make_tensor_value_info("labels", type_, shape),
            helper.make_tensor_value_info("scores", kind.FLOAT, shape),
        ],
        [
            helper.make_tensor("last", kind.INT64, [], [(count - 1) // 2]),
            helper.make_tensor("full", kind.FLOAT, [], [255.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "labels.json").write_text(json.dumps({"classes": [str(number) for number in range(count)]}))
    return core.Segmenter(folder, threads=1)


@pytest.mark.parametrize(("count", "encoding", "kind"), [(3, "mono8", "u1"), (601, "mono16", "<u2")])
def test_a_message_becomes_a_label_image_and_class_scores(tmp_path, image, count, encoding, kind):
    image[0, 0] = image[1, 1] = (9, 0, 200)
    image[:, 2:] = (0, 51, 0)
    step, data = message(image[..., ::-1])
    found = exported(tmp_path, count)(core.rgb_of("bgr8", 5, 6, step, False, data))
    labels = np.frombuffer(found.data, kind).reshape(5, found.step // np.dtype(kind).itemsize)
    assert found.encoding == encoding
    expected = image.argmax(-1) * ((count - 1) // 2)
    assert np.array_equal(labels, expected)
    assert found.scores.keys() == {str(number) for number in np.unique(expected)}
    for name, score in found.scores.items():
        assert score == pytest.approx((image.max(-1)[expected == int(name)] / 255).mean())


def test_the_node_compiles_and_takes_all_from_the_core_and_from_ros():
    tree = ast.parse((FOLDER / "segment_node.py").read_text())
    compile(tree, "segment_node.py", "exec")
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules >= {"rclpy.node", "rclpy.qos", "segment_core", "sensor_msgs.msg", "vision_msgs.msg"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "segment_core":
            assert all(hasattr(core, alias.name) for alias in node.names)
    used = {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "found"
    }
    assert used <= set(core.Segmented._fields)
