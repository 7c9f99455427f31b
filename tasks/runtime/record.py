"""Records of runs. They are stored beside the artifacts, since an artifact holds nothing that changes between runs."""

from __future__ import annotations

import json
import logging
import platform
import socket
import time
from importlib import metadata
from pathlib import Path

from data.store.artifact import CHECKSUM, Artifact, hash_text, write_json
from tasks.runtime.device_use import DeviceUse
from tasks.runtime.memory import peak_memory_mb

log = logging.getLogger("depthseed")

PACKAGES = ("depthseed", "torch", "timm", "zarr", "numpy", "scikit-image", "luigi")
"""Packages whose versions a record holds."""


def write_record(
    path: Path, label: str, artifact: Artifact, seconds: float, images: int, seed: int, use: DeviceUse | None = None
) -> None:
    """Write and log how an artifact was computed.

    Parameters
    ----------
    path : Path
        JSON file of the record.
    label : str
        Name of the stage, for the log.
    artifact : Artifact
    seconds : float
        Time of this run.
    images : int
        Images computed in this run; 0 if the work is not counted in images.
    seed : int
    use : DeviceUse, optional
        How the networks of the stage used their device.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    files, size = artifact.size()
    rate = images / seconds if seconds and images else None
    use = use or DeviceUse()
    waited = use.wait_share
    content = {
        "seconds": round(seconds, 3),
        "images": images,
        "images_per_second": rate and round(rate, 3),
        "peak_memory_mb": peak_memory_mb(),
        "device": use.device or None,
        "device_wait_share": None if waited is None else round(waited, 4),
        "peak_device_memory_mb": round(use.memory / 2**20) or None,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "seed": seed,
        "versions": {package: _version(package) for package in PACKAGES},
    }
    write_json(path, {**content, CHECKSUM: _checksum(content)})
    rate_text = f", {rate:.1f} images/s" if rate else ""
    wait_text = f", {use.device} waited {100 * waited:.0f} % of its time for data" if waited is not None else ""
    log.info(
        "%s: %.1f s%s%s, %.1f MB in %d files, wrote %s",
        label, seconds, rate_text, wait_text, size / 1e6, files, artifact.path,
    )  # fmt: skip


def read_record(path: Path) -> dict:
    """The record that `write_record` wrote; empty if there is none, or it is damaged."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and record.pop(CHECKSUM, None) == _checksum(record) else {}


def _checksum(content: dict) -> str:
    return hash_text(json.dumps(content, sort_keys=True))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
