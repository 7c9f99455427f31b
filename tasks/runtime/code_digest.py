"""What tells two versions of this code apart: workers of a running cluster may have another one installed."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]
"""The folder that holds the packages."""

PACKAGES = ("data", "models", "tasks")
"""The packages with which a worker computes."""


@functools.cache  # an edit after the import is not what this process computes with
def code_digest(root: Path = HOME) -> str:
    """Hash of all Python files of `PACKAGES` below a folder, 16 hex characters. It is the same on every machine."""
    digest = hashlib.blake2b(digest_size=8)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()
