"""An ONNX file whose convolutions compute in 8 bits (static quantisation of onnxruntime)."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tasks.runtime.onnx_network import INPUT

QUANTISED = ["Conv", "Relu", "Clip", "Add", "GlobalAveragePool"]
"""Operators in 8 bits: convolutions, and what lies between two of them. Upsampling and softmax stay as they are."""


def int8_bytes(model: bytes, images: Iterable[np.ndarray]) -> bytes:
    """The same network with weights of 8 bits (one scale per channel) and activations of 8 bits.

    The range of each activation is the one that it has on the images (Jacob et al., CVPR 2018, section 3.1; here
    after the training). Dynamic quantisation, which needs no images, would compute each range anew in every frame, and
    onnxruntime has slower kernels of it for convolutions.

    Parameters
    ----------
    model : bytes
        Content of a file of `tasks.runtime.onnx_network.onnx_bytes`.
    images : iterable of ndarray, (H, W, 3), uint8
        Some images as the network will see them.

    Raises
    ------
    ImportError
        If onnx or onnxruntime is not installed.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self.waiting: Iterator[np.ndarray] = iter(images)

        def get_next(self):
            image = next(self.waiting, None)
            return None if image is None else {INPUT: image[None]}

    level = logging.root.level
    with tempfile.TemporaryDirectory() as place:
        given, prepared, result = (Path(place) / f"{name}.onnx" for name in ("given", "prepared", "result"))
        given.write_bytes(model)
        try:
            logging.root.setLevel(logging.ERROR)  # the library advises on the log of everybody
            quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)  # folds batch norm into weights
            quantize_static(
                str(prepared),
                str(result),
                Images(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=QUANTISED,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        finally:
            logging.root.setLevel(level)
        return result.read_bytes()
