"""Where a data set is looked for if ``--data-root`` names no folder, and how one that is not there can be had."""

from __future__ import annotations

import os
from pathlib import Path

from data.readers import DATASETS
from data.readers.downloads import ELSEWHERE, TERMS

VARIABLE = "DEPTHSEED_DATA"
"""Environment variable: a folder that holds data sets."""

USUAL = Path("datasets")
"""Folder of data sets below the working directory."""


def places(configured: str = "") -> list[Path]:
    """The folders that hold data sets, those that the user has set first.

    Parameters
    ----------
    configured : str
        The folder in luigi.cfg; empty: none.
    """
    named = [os.environ.get(VARIABLE, ""), configured]
    return [*(Path(name).expanduser() for name in named if name), USUAL]


def candidates(name: str, places: list[Path]) -> dict[Path, Path]:
    """Folder of a data set -> the folder that ``--data-root`` would name for it, in the order of the search.

    Examples
    --------
    >>> [str(folder) for folder in candidates("voc", [Path("datasets")])]
    ['datasets/voc/VOCdevkit/VOC2012', 'datasets/VOCdevkit/VOC2012']
    >>> [str(folder) for folder in candidates("hope", [Path("datasets")])]
    ['datasets/hope/hope', 'datasets/hope']
    >>> [str(folder) for folder in candidates("folder", [Path("datasets")])]
    ['datasets/folder']
    """
    below = DATASETS[name].folder
    roots = [root for place in places for root in (place / name, *([place] if below else []))]
    return {root / below: root for root in roots}


def find_root(name: str, places: list[Path]) -> Path | None:
    """The folder that ``--data-root`` would name for a data set; None if it is in none of the places."""
    return next((root for folder, root in candidates(name, places).items() if folder.is_dir()), None)


def missing_line(name: str, places: list[Path]) -> str:
    """The error line about a data set that is in none of the places: what was looked for, and how to get it."""
    looked = ", ".join(str(folder) for folder in candidates(name, places))
    unset = "" if os.environ.get(VARIABLE) else f" (${VARIABLE} is not set)"
    return f"data set '{name}' is not there: looked for {looked}{unset}; {_remedy(name, places[0])}"


def _remedy(name: str, place: Path) -> str:
    if name in TERMS:
        size = TERMS[name].size or "its size is told before it begins"
        return (
            f"name its folder with --data-root, or add --fetch true to download it into {place} ({size}; licence: "
            f"{TERMS[name].licence})"
        )
    if name in ELSEWHERE:
        return f"name its folder with --data-root; it must be downloaded by hand: {ELSEWHERE[name]}"
    return "name its folder with --data-root; docs/datasets.md says what it must contain"
