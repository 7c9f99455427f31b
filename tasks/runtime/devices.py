"""The GPUs and cores of this machine that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

from data.errors import SettingError

DRIVER = Path("/dev/nvidiactl")
"""Device file of the driver of NVIDIA's GPUs on Linux."""


def usable_cores() -> int:
    """Number of cores that this process may use; a job of a cluster often gets some of a machine."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # on Linux only
        return os.cpu_count() or 1


def has_gpu(device: str) -> bool:
    """True if a device name leaves a GPU open. Without a driver, torch is not loaded: a plan of the stages is quick."""
    return device.partition(":")[0] in ("auto", "cuda") and DRIVER.exists() and bool(visible_gpus(device))


def visible_gpus(device: str) -> tuple[str, ...]:
    """The GPUs that a device name leaves open, as `CUDA_VISIBLE_DEVICES` numbers them; empty for any other device.

    ``auto`` and ``cuda`` are all GPUs that this process sees; ``cuda:1`` is one of them.

    Raises
    ------
    SettingError
        If the device name is a GPU that this process does not see.
    """
    import torch

    name, _, number = device.partition(":")
    if name not in ("auto", "cuda") or not torch.cuda.is_available():
        return ()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = tuple(part.strip() for part in listed.split(",")) if listed else tuple(map(str, range(10**3)))
    seen = names[: torch.cuda.device_count()]
    if not number:
        return seen
    numbers = dict(zip(map(str, range(len(seen))), seen))
    if number not in numbers:
        here = ", ".join(f"cuda:{known}" for known in numbers)
        raise SettingError(f"--device {device}: the GPUs that can be used here are {here}")
    return (numbers[number],)
