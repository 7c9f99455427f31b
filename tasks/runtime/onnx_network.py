"""Export of a segmentation network: from an RGB image of bytes to labels and scores, as ONNX."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.runtime.tensors import Normalisation, colours

OPSET = 17
"""Version of the operators of ONNX; onnxruntime 1.12 and newer have them."""

INPUT, OUTPUTS = "image", ("labels", "scores")
"""Names of the input and of the outputs of the file."""

CLASSES_IN_BYTES = 256
"""Largest number of classes whose labels are bytes; more are 32-bit integers."""


class ImageNetwork(nn.Module):
    """Images (B, H, W, 3), uint8, RGB -> labels (B, H, W) and scores (B, H, W), at one scale, without mirror images.

    A label is the number of the most probable class, its score is the softmax probability of that class:
    1 / sum_c exp(z_c - max z), float32. So no map of all classes is stored besides the logits z.

    Parameters
    ----------
    network : nn.Module
        A segmentation network: normalised images -> logits (B, C, h, w), or an object with an attribute ``logits``.
    normalisation : Normalisation
    num_classes : int
        C, background included.
    scale : float
        Size at which the network sees an image, relative to its own.
    """

    def __init__(self, network: nn.Module, normalisation: Normalisation, num_classes: int, scale: float = 1.0):
        super().__init__()
        self.network, self.normalisation, self.scale = network, normalisation, scale
        self.label_type = torch.uint8 if num_classes <= CLASSES_IN_BYTES else torch.int32

    def logits(self, images: Tensor) -> Tensor:
        """Class logits (B, C, H, W) of images (B, H, W, 3) uint8."""
        seen = self.normalisation(colours(images.permute(0, 3, 1, 2)))
        if self.scale != 1:
            seen = F.interpolate(seen, scale_factor=self.scale, mode="bilinear", align_corners=False)
        found = self.network(seen)
        logits = found if isinstance(found, Tensor) else found.logits
        return F.interpolate(logits, size=images.shape[1:3], mode="bilinear", align_corners=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(images)
        highest, labels = logits.max(1)
        return labels.to(self.label_type), (logits - highest[:, None]).exp().sum(1).reciprocal()


def onnx_bytes(network: nn.Module, image: Tensor) -> bytes:
    """The content of an ONNX file with the input `INPUT` and the `OUTPUTS`; batch, height and width are open.

    Parameters
    ----------
    network : nn.Module
    image : Tensor, (1, H, W, 3), uint8
        An example.
    """
    file = io.BytesIO()
    axes = {0: "batch", 1: "height", 2: "width"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer, about sizes; `largest_difference` compares several sizes
        torch.onnx.export(
            network,
            (image,),
            cast(Any, file),
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes=dict.fromkeys((INPUT, *OUTPUTS), axes),
            dynamo=False,
            opset_version=OPSET,
        )  # dynamo=False is the older exporter; the newer one takes 20 times as long, for the same graph
    return file.getvalue()


def session_of(model: bytes, threads: int = 0) -> Any:
    """A session of onnxruntime on the CPU; as many threads as torch has, if `threads` is 0."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def largest_difference(network: ImageNetwork, model: bytes, images: Iterable[Tensor]) -> float:
    """How far an ONNX file is from its network, as a probability: the largest difference over all pixels.

    It is that of the scores, and that by which the label is less probable than the best one. So a tie is no
    difference. Infinite if a score is not a number.

    Parameters
    ----------
    network : ImageNetwork
    model : bytes
    images : iterable of Tensor, (B, H, W, 3), uint8
        Of several sizes: the file must hold for all.
    """
    session = session_of(model)
    worst = 0.0
    for image in images:
        labels, scores = session.run(None, {INPUT: image.numpy()})
        with torch.no_grad():
            probabilities = network.logits(image).softmax(1)
        best = probabilities.amax(1)
        chosen = probabilities.gather(1, torch.from_numpy(labels.astype(np.int64))[:, None])[:, 0]
        for difference in (np.abs(scores - best.numpy()), (best - chosen).numpy()):
            worst = max(worst, float(np.nan_to_num(difference, nan=np.inf, posinf=np.inf).max()))
    return worst
