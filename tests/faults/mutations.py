"""Seeded damage to files: what disks, editors, interrupted copies and hostile hands leave behind.

Each function takes a `numpy.random.Generator`. So the same seed makes the same damage again.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 255, 10**6, -(10**30), 10**30, 0.5, 1e308, float("nan"), float("inf"), -float("inf"),
    "", "0", "-1", "name", "../../outside", "a\nb", "a\0b", "\ud800", [], {}, [[]], [None], [0], [[0, 1]], {"a": 1},
    {"counts": [1], "size": [1, 1]}, [[[[1]]]],
)  # fmt: skip
"""Values that take the place of one in a JSON file."""

ODD_KEYS = ("", "-1", "0", "00", "1.5", "name", "٣", "9" * 30, "9" * 5000, " 1")
"""Keys that take the place of one in a JSON file."""


def _places(content: Any) -> list[tuple[Any, Any]]:
    """(list or dict, index or key) of every value inside `content`."""
    found: list[tuple[Any, Any]] = []
    waiting = [content]
    while waiting:
        parent = waiting.pop()
        keys = list(parent) if isinstance(parent, dict) else range(len(parent)) if isinstance(parent, list) else ()
        for key in keys:
            found.append((parent, key))
            waiting.append(parent[key])
    return found


def mutated_json(content: Any, rng: np.random.Generator) -> str:
    """Text of a JSON file with one to three changes: most are still JSON, of another form than it should have.

    Parameters
    ----------
    content : list or dict
        As `json.loads` gives it; it is not changed.
    rng : numpy.random.Generator
    """
    content = copy.deepcopy(content)
    for _ in range(rng.integers(1, 4)):
        places = _places(content)
        kind = rng.integers(10)
        if kind == 0 or not places:
            content = ODD_VALUES[rng.integers(len(ODD_VALUES))]
            break
        parent, key = places[rng.integers(len(places))]
        odd = copy.deepcopy(ODD_VALUES[rng.integers(len(ODD_VALUES))])
        if kind == 1:
            del parent[key]
        elif kind == 2 and isinstance(parent, dict):
            parent[ODD_KEYS[rng.integers(len(ODD_KEYS))]] = parent.pop(key)
        elif kind == 2:
            parent.insert(key, odd)
        elif kind == 3 and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[key]))
        elif kind == 3:
            parent[key] = [parent[key]]
        elif kind == 4 and isinstance(parent[key], int | float):
            parent[key] = str(parent[key])
        elif kind == 4:
            parent[key] = {"a": parent[key]}
        else:
            parent[key] = odd
    text = json.dumps(content)
    if rng.integers(10) == 0:  # the text itself is damaged, too
        damaged = mutated_bytes(text.encode(), rng)
        return damaged.decode("latin-1")
    return text


def mutated_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with one kind of damage: flipped bits, a cut, inserted, zeroed or repeated blocks; never the same."""
    if not content:
        return b"\0"
    damaged = bytearray(content)
    size = len(damaged)
    while bytes(damaged) == content:
        start = int(rng.integers(size))
        length = int(min(rng.integers(1, 65), size - start))
        kind = rng.integers(7)
        if kind <= 1:  # most of the meaning of a file is in its first bytes
            reach = min(size, 64) if kind else size
            for position in rng.integers(reach, size=rng.integers(1, 9)):
                damaged[position] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            del damaged[start:]
        elif kind == 3:
            damaged[start:start] = rng.bytes(length)
        elif kind == 4:
            damaged[start : start + length] = bytes(length)
        elif kind == 5:
            del damaged[start : start + length]
        else:
            damaged[start : start + length] = rng.bytes(length)
    return bytes(damaged)
