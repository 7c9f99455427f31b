"""Pretrained weights of timm networks, loaded by name or from a file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from data.errors import WeightsError
from tasks.runtime.weight_files import unavailable, weights_file

log = logging.getLogger("depthseed")

SAFETENSORS = ".safetensors"
"""Ending of the names of files in that format; any other file is one of torch.save."""

SAFE_TORCH = "2.10"
"""First version of torch without known holes in ``torch.load(weights_only=True)``."""

COUNTER = "num_batches_tracked"
"""End of the names of the batch norm counters, which are no weights; files of old versions of torch lack them."""


def load_weights(network: nn.Module, backbone: str, weights: str) -> None:
    """Load pretrained weights into a timm network, in place.

    Parameters
    ----------
    network : nn.Module
        timm network of the architecture `backbone`, with or without classification head.
    backbone : str
        timm name.
    weights : str
        ``hub`` (downloaded by timm), ``package``, ``random`` (the initial weights stay), or the path of a
        .safetensors or .pth file with a state dict.

    Raises
    ------
    WeightsError
        If they are not available, are damaged, do not fit, or are not finite numbers. In the first case, the message
        lists the ways to provide them.
    """
    if weights == "random":
        return
    if weights == "hub":
        source, state = "weights 'hub'", _hub_state(backbone)
    else:
        path = weights_file(weights, backbone)
        if weights != "package" and path.suffix != SAFETENSORS:
            _require_safe_unpickler(path)
        source, state = str(path), _read_state(path)
    wanted = network.state_dict()
    state = _with_stage_names(state, wanted)
    try:
        if not any(name in state for name in wanted):
            if source.endswith(SAFETENSORS):  # such a file sorts its tensors, so their order says nothing
                raise _DoesNotFit("it has none of its names")
            state = _by_order(state, wanted)
            if weights != "package":
                log.warning("%s: has other names than %s; its tensors are taken in their order", source, backbone)
        state = {name: _usable(name, value, wanted[name]) for name, value in state.items() if name in wanted}
        missing = [name for name in wanted if name not in state and not name.endswith(COUNTER)]
        if missing:
            raise _DoesNotFit(f"{missing[0]} is missing")
    except _DoesNotFit as error:
        raise WeightsError(
            f"{source}: does not fit backbone '{backbone}': {error}; choose the weights of this backbone"
        ) from error
    network.load_state_dict(state, strict=False)


class _DoesNotFit(Exception):
    """Why tensors are not the weights of a network."""


def _usable(name: str, value: Tensor, wanted: Tensor) -> Tensor:
    """A tensor of a file with the shape and dtype that the network needs."""
    if value.shape != wanted.shape:
        raise _DoesNotFit(f"{name} has the shape {tuple(value.shape)}, not {tuple(wanted.shape)}")
    if value.is_floating_point() != wanted.is_floating_point():
        raise _DoesNotFit(f"{name} is {value.dtype}, not {wanted.dtype}")
    value = value.to(wanted.dtype)
    if not value.isfinite().all():
        raise _DoesNotFit(f"{name} has values that are not finite")
    return value


def _with_stage_names(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a whole network, also under the names that timm gives them in a network of stages.

    ``timm.create_model(features_only=True)`` takes the children of a sequence out of it: ``stem.0.weight`` of a
    ConvNeXt becomes ``stem_0.weight`` (`timm.models._features.FeatureListNet`).
    """
    flat = {name.replace(".", "_", 1): value for name, value in state.items()}
    return {**{name: flat[name] for name in wanted if name in flat}, **state}


def _by_order(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename tensors by position, for files with the same tensors under other names."""
    counted = [name for name in wanted if not name.endswith(COUNTER)]
    values = [value for name, value in state.items() if not name.endswith(COUNTER)]
    if len(values) < len(counted) or any(wanted[name].shape != value.shape for name, value in zip(counted, values)):
        raise _DoesNotFit("names and shapes differ")
    return dict(zip(counted, values))


def _read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name.

    Raises
    ------
    WeightsError
        If the file is damaged, or holds anything else than tensors. Code in it is not run.
    """
    try:
        state: Any = (
            load_file(path) if path.suffix == SAFETENSORS else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:  # the zip reader, the unpickler and safetensors have many errors
        raise _no_weights(path, (str(error).strip() or type(error).__name__).splitlines()[0]) from error
    if isinstance(state, dict):
        state = state.get("state_dict", state)
    if not isinstance(state, dict) or not state:
        raise _no_weights(path, "it holds nothing" if state == {} else f"it holds a {type(state).__name__}")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor) or not _is_plain(value):
            raise _no_weights(path, f"its entry {name!r} is not a tensor of numbers")
    return state


def _require_safe_unpickler(path: Path) -> None:
    """Refuse a file of torch.save if this version of torch may run code in it: CVE-2025-32434, CVE-2026-24747."""
    if torch.__version__ < SAFE_TORCH:
        raise WeightsError(
            f"{path}: torch {torch.__version__} may run code in such a file; update torch to {SAFE_TORCH}, or convert "
            "the file to .safetensors on a machine of its own"
        )


def _is_plain(value: Tensor) -> bool:
    return value.layout == torch.strided and not value.is_quantized and value.device.type == "cpu"


def _no_weights(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"{path}: is not a file of weights ({reason}); name a .safetensors or .pth file with a state dict"
    )


def _hub_state(backbone: str) -> dict[str, Tensor]:
    import timm

    try:
        return timm.create_model(backbone, pretrained=True).state_dict()
    except Exception as error:  # hub and transport have many errors
        raise unavailable(backbone, f"the hub gave none ({type(error).__name__})") from error
