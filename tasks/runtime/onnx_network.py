"""Export of a segmentation network: from an image in [0, 1] to probabilities, as ONNX."""

from __future__ import annotations

import io
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.runtime.tensors import Normalisation


class ImageNetwork(nn.Module):
    """Images (B, 3, H, W) in [0, 1] -> class probabilities (B, C, H, W), at scale 1 and without mirror images.

    Parameters
    ----------
    network : nn.Module
        A segmentation network: normalised images -> logits (B, C, h, w), or an object with an attribute ``logits``.
    normalisation : Normalisation
    """

    def __init__(self, network: nn.Module, normalisation: Normalisation):
        super().__init__()
        self.network, self.normalisation = network, normalisation

    def forward(self, images: Tensor) -> Tensor:
        found = self.network(self.normalisation(images))
        logits = found if isinstance(found, Tensor) else found.logits
        return F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False).softmax(1)


def onnx_bytes(network: nn.Module, image: Tensor) -> bytes:
    """The content of an ONNX file with the input ``image`` and the output ``probabilities``.

    Parameters
    ----------
    network : nn.Module
    image : Tensor, (1, 3, H, W)
        An example. The file takes only images of this size.
    """
    file = io.BytesIO()
    torch.onnx.export(
        network,
        (image,),
        cast(Any, file),
        input_names=["image"],
        output_names=["probabilities"],
        dynamo=False,
        opset_version=17,
    )  # dynamo=False is the older exporter; the newer one cannot write into memory
    return file.getvalue()


def largest_difference(network: nn.Module, model: bytes, image: Tensor) -> float:
    """Largest absolute difference between the probabilities of a network and those of its ONNX file, for one image.

    Infinite if any probability is not a number.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    with torch.no_grad():
        expected = network(image).numpy()
    return float(np.nan_to_num(np.abs(found - expected), nan=np.inf, posinf=np.inf).max())
