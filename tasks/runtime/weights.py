"""Pretrained weights of timm networks, loaded by name or from a file."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from data.errors import WeightsError
from tasks.runtime.weight_files import unavailable, weights_file


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
        If they are not available or do not fit. In the first case, the message lists the ways to provide them.
    """
    if weights == "random":
        return
    state = _hub_state(backbone) if weights == "hub" else _read_state(weights_file(weights, backbone))
    wanted = network.state_dict()
    if not any(name in state for name in wanted):
        state = _by_order(state, wanted, backbone, weights)
    state = {name: value for name, value in state.items() if name in wanted}
    missing = [name for name in wanted if name not in state and not name.endswith("num_batches_tracked")]
    if missing:
        raise WeightsError(
            f"weights '{weights}' for backbone '{backbone}' lack {missing[0]}; choose the weights of this backbone"
        )
    try:
        network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise WeightsError(
            f"weights '{weights}' do not fit backbone '{backbone}': {str(error).splitlines()[-1]}"
        ) from error


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{path}: is not a file of weights ({str(error).splitlines()[0]}); name a .safetensors or .pth file with a "
            "state dict"
        ) from error
    return state.get("state_dict", state)


def _hub_state(backbone: str) -> dict[str, torch.Tensor]:
    import timm

    try:
        return timm.create_model(backbone, pretrained=True).state_dict()
    except Exception as error:  # hub and transport have many errors
        raise unavailable(backbone, f"the hub gave none ({type(error).__name__})") from error


def _by_order(state, wanted, backbone, weights):
    """Rename tensors by position, for files with the same tensors under other names."""
    counted = [name for name in wanted if not name.endswith("num_batches_tracked")]
    values = [value for name, value in state.items() if not name.endswith("num_batches_tracked")]
    if len(values) < len(counted) or any(wanted[name].shape != value.shape for name, value in zip(counted, values)):
        raise WeightsError(f"weights '{weights}' do not fit backbone '{backbone}': names and shapes differ")
    return dict(zip(counted, values))
