"""JSON files of data sets."""

from __future__ import annotations

import json
from pathlib import Path

from data.errors import DatasetError


def read_json(path: Path) -> dict:
    """Content of a JSON file.

    Raises
    ------
    DatasetError
        If the file is missing or is not valid JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: file is missing; restore it or check --data-root") from error
    except ValueError as error:
        raise DatasetError(f"{path}: is not valid JSON ({error}); replace the file") from error
