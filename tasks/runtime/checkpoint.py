"""The state of a training after any step, in a file that is read only if it is exactly what was written."""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from data.store.artifact import hash_bytes, write_bytes

log = logging.getLogger("depthseed")

DIGEST_LENGTH = 32
"""Length of the hash in front of the content, in characters."""

TEXT = "json"
"""Name of the tensor that holds everything that is no tensor, as bytes of JSON."""


@dataclass
class Position:
    """How far a training has come, besides the weights.

    Attributes
    ----------
    history : list of dict
        Mean losses, one entry per complete epoch; plain JSON data.
    step : int
        Steps done in the epoch that is under way.
    sums : list of dict
        Name -> sum of a loss over these steps; one entry per rank.
    random : list of dict
        What `random_state` returned; one entry per rank. Empty between two epochs.
    """

    history: list[dict] = field(default_factory=list)
    step: int = 0
    sums: list[dict[str, float]] = field(default_factory=list)
    random: list[dict[str, bytes]] = field(default_factory=list)


def random_state(device: torch.device, draws: torch.Generator | None) -> dict[str, bytes]:
    """The states of the random generators of this process: name -> bytes.

    Parameters
    ----------
    device : torch.device
    draws : torch.Generator or None
        Of the random numbers of whole batches; None = torch's global one of the device.
    """
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    states["draws"] = draws.get_state() if draws else states[device.type]
    return {kind: state.numpy().tobytes() for kind, state in states.items()}


def set_random_state(
    states: dict[str, bytes], device: torch.device, draws: torch.Generator | None, is_own: bool = True
) -> None:
    """Set what `random_state` returned for this rank (`is_own`), or for a training with another number of ranks.

    In the latter case, only the random numbers of whole batches go on. States of another kind of device are left out.
    """
    found = {name: torch.from_numpy(np.frombuffer(state, np.uint8).copy()) for name, state in states.items()}
    if ("cuda" in found) != (device.type == "cuda"):
        return
    if is_own:
        torch.set_rng_state(found["cpu"])
        if device.type == "cuda":
            torch.cuda.set_rng_state(found["cuda"], device)
    if draws:
        draws.set_state(found["draws"])
    elif device.type == "cuda":
        torch.cuda.set_rng_state(found["draws"], device)
    else:
        torch.set_rng_state(found["draws"])


def save_checkpoint(path: Path, modules: dict[str, nn.Module], optimizer: Any, position: Position) -> None:
    """Write the state of a training: a hash, then a safetensors file.

    Parameters
    ----------
    path : Path
    modules : dict of name -> nn.Module
    optimizer : torch.optim.Optimizer
    position : Position

    Raises
    ------
    StoreError
        If the disk is full or the folder cannot be written. The last checkpoint stays.
    """
    tensors = {f"{name}/{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    state = optimizer.state_dict()
    values: dict[str, dict] = {}
    for number, entries in state["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{number}/{key}"] = value
            else:
                values.setdefault(str(number), {})[key] = value
    random = [{kind: base64.b64encode(found).decode() for kind, found in states.items()} for states in position.random]
    described = {**vars(position), "random": random, "groups": state["param_groups"], "values": values}
    text = json.dumps(described).encode()
    # A copy of each: tensors that share memory are not allowed, and safetensors keeps no memory format.
    copies = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()
    }
    content = save({**copies, TEXT: torch.from_numpy(np.frombuffer(text, np.uint8).copy())})
    write_bytes(path, hash_bytes(content).encode() + content)


def resume(path: Path, modules: dict[str, nn.Module], optimizer: Any) -> Position | None:
    """Load what `save_checkpoint` wrote into the modules and the optimizer. Returns the position.

    If there is no checkpoint, or its hash is wrong, nothing is loaded and the result is None.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, content = content[:DIGEST_LENGTH], content[DIGEST_LENGTH:]
    if hash_bytes(content).encode() != digest:
        log.warning("%s: checkpoint is damaged; training starts again", path)
        return None
    tensors = load(content)
    saved = json.loads(bytes(cast(Any, tensors.pop(TEXT).numpy())))
    for name, module in modules.items():
        start = f"{name}/"
        module.load_state_dict({key[len(start) :]: tensors[key] for key in tensors if key.startswith(start)})
    state: dict[int, dict] = {int(number): dict(entries) for number, entries in saved["values"].items()}
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            number, entry = int(key.split("/")[1]), key.split("/")[2]
            if value.shape == trained[number].shape:  # with the memory format of its parameter, as before
                value = torch.empty_like(trained[number]).copy_(value)
            state.setdefault(number, {})[entry] = value
    optimizer.load_state_dict({"state": state, "param_groups": saved["groups"]})
    random = [{kind: base64.b64decode(found) for kind, found in states.items()} for states in saved.get("random", [])]
    # An earlier version wrote a checkpoint only between two epochs.
    return Position(saved["history"], saved.get("step", 0), saved.get("sums", []), random)
