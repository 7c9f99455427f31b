"""JSON files of data sets."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from data.errors import DatasetError
from data.files.regular_file import read_bytes


def read_json(path: Path) -> dict:
    """Content of a JSON file that holds an object.

    Raises
    ------
    DatasetError
        If the file is missing or cannot be read, is not valid JSON, or holds anything but an object.
    """
    content = read_bytes(path)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: is not valid JSON ({error}); replace the file") from error
    if not isinstance(found, dict):
        raise DatasetError(f"{path}: must hold an object {{...}}, but holds {found!r:.40}; replace the file")
    return found


def is_whole(value: Any, least: int = 0) -> bool:
    """True for a whole number of at least `least`, and of at most 18 digits, which every tool can read.

    Examples
    --------
    >>> is_whole(3), is_whole(-3), is_whole(True), is_whole(3.0)
    (True, False, False, False)
    """
    return type(value) is int and least <= value < 10**18


def is_number(value: Any, least: float = -math.inf, most: float = math.inf) -> bool:
    """True for a finite number in [least, most].

    Examples
    --------
    >>> is_number(0.5, 0, 1), is_number(2, 0, 1), is_number(float("nan")), is_number("0.5")
    (True, False, False, False)
    """
    return type(value) in (int, float) and least <= value <= most and abs(value) <= 1e300
