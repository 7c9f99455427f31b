"""What an ONNX file may ask of onnxruntime: computation, but no other file and no code."""

from __future__ import annotations

from collections.abc import Iterator

LARGEST_FILE = (1 << 31) - 1
"""Bytes of the largest file; a protobuf message cannot be larger."""

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Domains of the operators that are built into onnxruntime. Others come from libraries or call servers."""

FILE_OPERATORS = frozenset({"EPContext"})
"""Operators that load a file with a compiled network."""


def require_safe(content: bytes) -> None:
    """Refuse an ONNX file that refers to anything outside itself.

    Parameters
    ----------
    content : bytes
        Content of the file.

    Raises
    ------
    ImportError
        If onnx is not installed.
    ValueError
        If the content is not an ONNX network, or has external data or an operator that is not built in.
    """
    import onnx
    from google.protobuf.message import Message

    def messages(root: Message) -> Iterator[Message]:
        """A message and all messages inside it."""
        waiting = [root]
        while waiting:
            message = waiting.pop()
            yield message
            for field, value in message.ListFields():
                if field.message_type is not None:
                    waiting += [value] if isinstance(value, Message) else value

    if len(content) > LARGEST_FILE:
        raise ValueError(f"has {len(content)} bytes, more than {LARGEST_FILE}; use a smaller network")
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf has one class of errors for each of its implementations
        raise ValueError("is not an ONNX network (it cannot be parsed); use another file") from error
    if not model.graph.node:
        raise ValueError("is not an ONNX network (it has no operator); use another file")
    known = DOMAINS | {function.domain for function in model.functions}  # these are composed of other operators
    for message in messages(model):
        if isinstance(message, onnx.TensorProto) and (message.data_location or message.external_data):
            raise ValueError(
                f"keeps the tensor '{message.name}' in another file; save it again with all tensors inside"
            )
        if isinstance(message, onnx.NodeProto) and (message.domain not in known or message.op_type in FILE_OPERATORS):
            name = f"{message.domain}.{message.op_type}".lstrip(".")
            raise ValueError(f"uses the operator {name!r}, which is not part of ONNX; export it with operators of ONNX")
