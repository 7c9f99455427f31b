"""What the ROS node computes, without ROS: the bytes of an image message in, a label image and class scores out.

Encodings: `sensor_msgs/image_encodings.hpp` of ROS 2.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime

CHANNELS = {
    "rgb8": (0, 1, 2),
    "bgr8": (2, 1, 0),
    "8UC3": (2, 1, 0),  # as OpenCV has it
    "rgba8": (0, 1, 2),
    "bgra8": (2, 1, 0),
    "8UC4": (2, 1, 0),
    "mono8": (0, 0, 0),
    "8UC1": (0, 0, 0),
    "mono16": (0, 0, 0),
}
"""Encoding -> the channels that are red, green and blue."""

STORED = {"rgba8": 4, "bgra8": 4, "8UC4": 4, "mono8": 1, "8UC1": 1, "mono16": 1}
"""Channels of a pixel, where it has not three."""

PACKED_YUV = {"yuv422": 1, "uyvy": 1, "yuv422_yuy2": 0, "yuyv": 0}
"""Encodings with two bytes per pixel -> the place of the first brightness; U and V are shared by two pixels."""


def rgb_of(encoding: str, height: int, width: int, step: int, is_bigendian: bool, data: bytes) -> np.ndarray:
    """The RGB image of a message `sensor_msgs/Image`, (H, W, 3) uint8.

    Parameters
    ----------
    encoding, height, width, step, is_bigendian, data
        The fields of the message. A row has `step` bytes, of which the last ones may be padding.

    Raises
    ------
    ValueError
        If the encoding is not known or there are too few bytes.
    """
    if encoding not in CHANNELS and encoding not in PACKED_YUV:
        known = ", ".join([*CHANNELS, *PACKED_YUV])
        raise ValueError(f"encoding '{encoding}' is unknown (known: {known}); convert the topic, e.g. with image_proc")
    size = 2 if encoding in PACKED_YUV else STORED.get(encoding, 3) * (2 if encoding == "mono16" else 1)
    if step < size * width or len(data) < step * height:
        raise ValueError(
            f"an image {width}x{height} of encoding '{encoding}' needs rows of {size * width} bytes, but the message "
            f"has {len(data)} bytes in rows of {step}"
        )
    rows = np.frombuffer(data, np.uint8)[: step * height].reshape(height, step)[:, : size * width]
    if encoding in PACKED_YUV:
        return _rgb_of_yuv(rows.reshape(height, width, 2), PACKED_YUV[encoding])
    if encoding == "mono16":
        values = np.ascontiguousarray(rows).view(">u2" if is_bigendian else "<u2")
        pixels = (values >> 8).astype(np.uint8).reshape(height, width, 1)
    else:
        pixels = rows.reshape(height, width, -1)
    return np.ascontiguousarray(pixels[..., CHANNELS[encoding]])


def _rgb_of_yuv(pairs: np.ndarray, first: int) -> np.ndarray:
    """RGB of packed YUV 4:2:2, ITU-R BT.601 with the full range of video cameras (16 to 235).

    R = 1.164 (Y - 16) + 1.596 (V - 128), G = 1.164 (Y - 16) - 0.391 (U - 128) - 0.813 (V - 128),
    B = 1.164 (Y - 16) + 2.018 (U - 128)
    """
    if pairs.shape[1] % 2:
        raise ValueError(f"an image in YUV 4:2:2 has an even width, not {pairs.shape[1]}")
    light = 1.164 * (pairs[..., first].astype(np.float32) - 16)
    colour = pairs[..., 1 - first].astype(np.float32) - 128
    u, v = (np.repeat(colour[:, place::2], 2, axis=1) for place in (0, 1))
    rgb = np.stack([light + 1.596 * v, light - 0.391 * u - 0.813 * v, light + 2.018 * u], axis=-1)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


class Segmented(NamedTuple):
    """The result for one image.

    Attributes
    ----------
    encoding : str
        ``mono8``, or ``mono16`` for more than 256 classes.
    step : int
        Bytes of a row.
    data : bytes
        The label image: class number of each pixel, little-endian.
    scores : dict of str -> float
        Class that is on the image -> mean probability over its pixels.
    """

    encoding: str
    step: int
    data: bytes
    scores: dict[str, float]


class Segmenter:
    """Runs the network of an exported folder.

    Parameters
    ----------
    folder : Path
        What ExportModel wrote, or a clone of it from a hub.
    file : str
        ``model.onnx`` or ``model_int8.onnx``.
    threads : int
        Of the CPU; 0 = all cores.
    """

    def __init__(self, folder: Path, file: str = "model.onnx", threads: int = 0):
        self.classes: list[str] = json.loads((folder / "labels.json").read_text(encoding="utf-8"))["classes"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(folder / file, options, providers=["CPUExecutionProvider"])

    def __call__(self, image: np.ndarray) -> Segmented:
        """Labels and class scores of an RGB image (H, W, 3) uint8."""
        labels, scores = (values[0] for values in self.session.run(["labels", "scores"], {"image": image[None]}))
        kind, encoding = (np.dtype("u1"), "mono8") if len(self.classes) <= 256 else (np.dtype("<u2"), "mono16")
        counts = np.bincount(labels.ravel(), minlength=len(self.classes))
        sums = np.bincount(labels.ravel(), weights=scores.ravel(), minlength=len(self.classes))
        found = {self.classes[n]: float(sums[n] / counts[n]) for n in np.flatnonzero(counts)}
        return Segmented(encoding, labels.shape[1] * kind.itemsize, labels.astype(kind).tobytes(), found)
