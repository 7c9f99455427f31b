"""The state of a training after an epoch, in a file that is read only if it is exactly what was written."""

from __future__ import annotations

import json
import logging
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


def save_checkpoint(path: Path, modules: dict[str, nn.Module], optimizer: Any, history: list[dict]) -> None:
    """Write the state of a training: a hash, then a safetensors file.

    Parameters
    ----------
    path : Path
    modules : dict of name -> nn.Module
    optimizer : torch.optim.Optimizer
    history : list of dict
        One entry per complete epoch, plain JSON data.

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
    text = json.dumps({"history": history, "groups": state["param_groups"], "values": values}).encode()
    # A copy of each: tensors that share memory are not allowed, and safetensors keeps no memory format.
    copies = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()
    }
    content = save({**copies, TEXT: torch.from_numpy(np.frombuffer(text, np.uint8).copy())})
    write_bytes(path, hash_bytes(content).encode() + content)


def resume(path: Path, modules: dict[str, nn.Module], optimizer: Any) -> list[dict]:
    """Load what `save_checkpoint` wrote into the modules and the optimizer. Returns the history.

    If there is no checkpoint, or its hash is wrong, nothing is loaded and the history is empty.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    digest, content = content[:DIGEST_LENGTH], content[DIGEST_LENGTH:]
    if hash_bytes(content).encode() != digest:
        log.warning("%s: checkpoint is damaged; training starts again", path)
        return []
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
    return saved["history"]
