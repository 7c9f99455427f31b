"""A segmentation network from plain image to probabilities, as it is exported."""

from __future__ import annotations

import io
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from models.segmentation.multi_scale import averaged_probabilities
from tasks.runtime.tensors import Normalisation


class ImageNetwork(nn.Module):
    """Images (B, 3, H, W) in [0, 1] -> class probabilities (B, C, H, W), at one scale and not mirrored."""

    def __init__(self, network: nn.Module, normalisation: Normalisation):
        super().__init__()
        self.network, self.normalisation = network, normalisation

    def forward(self, images: Tensor) -> Tensor:
        def logits_of(seen: Tensor) -> Tensor:
            found = self.network(seen)
            return found if isinstance(found, Tensor) else found.logits

        return averaged_probabilities(logits_of, self.normalisation(images), (1.0,), flip=False)


def onnx_bytes(network: nn.Module, image: Tensor) -> bytes:
    """The network as an ONNX file for images of this one's size; input ``image``, output ``probabilities``."""
    file = io.BytesIO()
    torch.onnx.export(
        network,
        (image,),
        cast(Any, file),
        input_names=["image"],
        output_names=["probabilities"],
        dynamo=False,
        opset_version=17,
    )  # the older exporter: the newer one cannot write into memory
    return file.getvalue()


def largest_difference(network: nn.Module, model: bytes, image: Tensor) -> float:
    """Between the probabilities of a network and those of its ONNX file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    with torch.no_grad():
        expected = network(image).numpy()
    return float(np.abs(found - expected).max())
