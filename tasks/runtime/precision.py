"""Precision of networks: float32, or bfloat16 where torch's autocast allows it. Torch is imported only when needed."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

from tasks.runtime.devices import has_gpu

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "32", "bf16")
"""Names of the precisions. ``auto`` is bf16 on a GPU that computes in it, else 32."""

AMPERE = (8, 0)
"""Compute capability of the first GPUs with bfloat16 in hardware."""


def resolved_precision(precision: str, device: str) -> str:
    """``32`` or ``bf16``: what a name of `PRECISIONS` means on a device of this machine.

    Parameters
    ----------
    precision : str
    device : str
        As of the parameter ``device`` of the stages: ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
    """
    if precision != "auto":
        return precision
    return "bf16" if has_gpu(device) and _has_bfloat16(device) else "32"


@functools.cache  # each stage that is made may ask
def _has_bfloat16(device: str) -> bool:
    import torch

    return torch.cuda.get_device_capability(None if device == "auto" else device) >= AMPERE


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """A context in which the operations of a network run in a precision, ``32`` or ``bf16``."""
    import torch

    if precision == "32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def as_float32(output: Any) -> Any:
    """The result of a network with float32 instead of bfloat16: a tensor, or lists, tuples and dicts of tensors."""
    import torch

    if isinstance(output, torch.Tensor):
        return output.float() if output.dtype == torch.bfloat16 else output
    if isinstance(output, dict):
        return {key: as_float32(value) for key, value in output.items()}
    if isinstance(output, (list, tuple)):
        values = [as_float32(value) for value in output]
        return type(output)(*values) if hasattr(output, "_fields") else type(output)(values)
    return output
