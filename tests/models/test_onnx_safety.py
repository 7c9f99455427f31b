"""ONNX files that ask for more than computation."""

import pytest

from models.onnx_safety import require_safe

onnx = pytest.importorskip("onnx")

FLOAT = 1
"""onnx.TensorProto.FLOAT"""


def model_of(*nodes, weights=(), functions=(), domains=()):
    shape = [1, 3, 8, 8]
    graph = onnx.helper.make_graph(
        list(nodes),
        "graph",
        [onnx.helper.make_tensor_value_info("image", FLOAT, shape)],
        [onnx.helper.make_tensor_value_info("map", FLOAT, shape)],
        list(weights),
    )
    opsets = [onnx.helper.make_opsetid(domain, 1) for domain in domains]
    return onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17), *opsets], functions=list(functions), ir_version=8
    )


def node(operator="Abs", domain="", **attributes):
    return onnx.helper.make_node(operator, ["image"], ["map"], domain=domain, **attributes)


def external(name="weight", location="weights.bin"):
    tensor = onnx.TensorProto(name=name, data_type=FLOAT, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def refusal(model) -> str:
    with pytest.raises(ValueError) as caught:
        require_safe(model.SerializeToString())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("domain", ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"])
def test_what_is_built_in_may_be_used(domain):
    require_safe(model_of(node(domain=domain)).SerializeToString())


@pytest.mark.parametrize(
    "location", ["weights.bin", "../../etc/passwd", "/etc/passwd", "*/_ORT_MEM_ADDR_/*", "*/_ORT_MEM_ADDR_/*\0"]
)
def test_tensors_in_other_files_are_refused(location):
    """Not even beside the file: onnxruntime gets bytes, so it would look in the working directory or in memory."""
    assert "keeps the tensor 'weight' in another file" in refusal(
        model_of(node(), weights=[external("weight", location)])
    )


def test_a_place_without_the_mark_is_refused():
    tensor = external()
    tensor.data_location = onnx.TensorProto.DEFAULT
    assert "in another file" in refusal(model_of(node(), weights=[tensor]))


def test_tensors_in_attributes_graphs_and_functions_are_found():
    constant = onnx.helper.make_node("Constant", [], ["c"], value=external("inside"))
    branch = onnx.helper.make_graph([constant], "branch", [], [])
    function = onnx.helper.make_function("own", "F", ["x"], ["y"], [constant], [onnx.helper.make_opsetid("", 17)])
    sparse = model_of(node())
    sparse.graph.sparse_initializer.add().values.CopyFrom(external("inside"))
    for model in (
        model_of(constant),
        model_of(node("If", then_branch=branch, else_branch=branch)),
        model_of(node(), functions=[function]),
        sparse,
    ):
        assert "keeps the tensor 'inside' in another file" in refusal(model)


def test_operators_that_are_not_built_in_are_named():
    assert "uses the operator 'evil.Run'" in refusal(model_of(node("Run", "evil"), domains=["evil"]))
    azure = model_of(node("OpenAIAudioToText", "com.microsoft.extensions"), domains=["com.microsoft.extensions"])
    assert "uses the operator 'com.microsoft.extensions.OpenAIAudioToText'" in refusal(azure)


def test_a_compiled_network_in_another_file_is_refused():
    assert "'com.microsoft.EPContext'" in refusal(model_of(node("EPContext", "com.microsoft", ep_cache_context="x.so")))


def test_functions_of_the_file_itself_are_composed_of_other_operators():
    opsets = [onnx.helper.make_opsetid("", 17)]
    good = onnx.helper.make_function("own", "F", ["x"], ["y"], [onnx.helper.make_node("Abs", ["x"], ["y"])], opsets)
    require_safe(model_of(node("F", "own"), functions=[good], domains=["own"]).SerializeToString())
    inner = onnx.helper.make_node("Run", ["x"], ["y"], domain="evil")
    bad = onnx.helper.make_function("own", "F", ["x"], ["y"], [inner], opsets)
    assert "'evil.Run'" in refusal(model_of(node("F", "own"), functions=[bad], domains=["own"]))


def test_bytes_that_are_no_network_are_refused():
    for content in (b"something", b"", b"ORTM" + bytes(64), model_of().SerializeToString()):
        with pytest.raises(ValueError, match="is not an ONNX network"):
            require_safe(content)


def test_a_file_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr("models.onnx_safety.LARGEST_FILE", 10)
    with pytest.raises(ValueError, match="more than 10; use a smaller network"):
        require_safe(bytes(11))
