"""Damage to a file of an artifact: a flipped bit, or what broken disks and mistaken hands do to a whole file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def flip_bit(path: Path, rng: np.random.Generator, others: Sequence[Path] = ()) -> str:
    """Flip one bit of a file. Returns what was done."""
    content = bytearray(path.read_bytes())
    position, bit = int(rng.integers(len(content))), int(rng.integers(8))
    content[position] ^= 1 << bit
    path.write_bytes(content)
    return f"{path}: bit {bit} of byte {position} flipped"


def spoil(path: Path, rng: np.random.Generator, others: Sequence[Path] = ()) -> str:
    """Cut, empty, delete or zero a file, or exchange it with one of `others`. Returns what was done."""
    content = path.read_bytes()
    others = [other for other in others if other.read_bytes() != content]
    kind = int(rng.integers(5 if others else 4))
    if kind == 0:
        length = int(rng.integers(len(content)))
        path.write_bytes(content[:length])
        return f"{path}: cut to {length} bytes"
    if kind == 1:
        path.write_bytes(b"")
        return f"{path}: emptied"
    if kind == 2:
        path.unlink()
        return f"{path}: deleted"
    if kind == 3:
        start = int(rng.integers(len(content)))
        block = content[start : start + int(rng.integers(1, 4097))]
        path.write_bytes(content[:start] + bytes(len(block)) + content[start + len(block) :])
        return f"{path}: {len(block)} bytes from byte {start} on are zero"
    other = others[int(rng.integers(len(others)))]
    path.write_bytes(other.read_bytes())
    return f"{path}: is a copy of {other}"
