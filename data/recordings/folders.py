"""Recordings that are folders of images: TUM RGB-D, and what the recorders of Open3D write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import DatasetError
from data.files.intrinsics import OPEN3D_INTRINSICS
from data.files.json_file import is_number
from data.files.pixels import GREY_16, IMAGE_SUFFIXES, read_colours, read_values
from data.files.text_file import read_text
from data.readers.common import is_inside
from data.recordings.frames import COLOUR, DEPTH, NANOSECONDS, Packed, millimetres, pinhole

TUM_LISTS = {COLOUR: "rgb.txt", DEPTH: "depth.txt"}
TUM_COUNTS = 5000.0
"""Counts of a depth file of TUM RGB-D per metre (https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats)."""

OPEN3D_FOLDERS = {COLOUR: "color", DEPTH: "depth"}
OPEN3D_COUNTS = 1000.0
"""Counts of a depth file of Open3D per metre where no file says it: its reconstruction system takes this scale, too."""

Listed = dict[str, list[tuple[int, Path]]]
"""Stream -> time in nanoseconds and file of each image, in the order of time."""


class FolderRecording:
    """Images of a folder; see `data.recordings.frames.Recording`.

    Parameters
    ----------
    listed : dict
        `Listed`.
    counts_per_metre : float
        Of the depth files.
    found_intrinsics : dict or None
    """

    def __init__(self, listed: Listed, counts_per_metre: float, found_intrinsics: dict[str, Any] | None = None):
        self.listed, self.counts_per_metre, self._intrinsics = listed, counts_per_metre, found_intrinsics

    def stamps(self) -> dict[str, np.ndarray]:
        """As of `Recording`."""
        return {stream: np.array([time for time, _ in files], np.int64) for stream, files in self.listed.items()}

    def images(self) -> Iterator[tuple[str, int, Packed]]:
        """As of `Recording`."""
        numbered = [
            (time, stream, number, path)
            for stream, files in self.listed.items()
            for number, (time, path) in enumerate(files)
        ]
        for _, stream, number, path in sorted(numbered):
            yield stream, number, self._packed(stream, path)

    def _packed(self, stream: str, path: Path) -> Packed:
        if stream == DEPTH:
            return Packed(str(path), lambda: self._depth(path), lambda: None, 0)
        return Packed(str(path), lambda: read_colours(path), lambda: _jpeg(path), 0)

    def _depth(self, path: Path) -> np.ndarray:
        raw = read_values(path, (*GREY_16, "I"), "depth must be a PNG of 16 bits")
        return millimetres(raw, self.counts_per_metre)

    def intrinsics(self) -> dict[str, Any] | None:
        """As of `Recording`."""
        return self._intrinsics


def _jpeg(path: Path) -> bytes | None:
    return path.read_bytes() if path.suffix.lower() in (".jpg", ".jpeg") else None


def is_tum(path: Path) -> bool:
    """True for a folder in the layout of TUM RGB-D."""
    return (path / TUM_LISTS[COLOUR]).is_file()


def read_tum(path: Path, counts_per_metre: float = 0) -> FolderRecording:
    """A recording in the layout of TUM RGB-D: ``rgb.txt`` and ``depth.txt``, lines of a time in seconds and a file.

    Raises
    ------
    DatasetError
        If a list is malformed, or names a file that is missing.
    """
    listed = {
        stream: _tum_list(path, path / name) if stream == COLOUR or (path / name).exists() else []
        for stream, name in TUM_LISTS.items()
    }
    return FolderRecording(listed, counts_per_metre or TUM_COUNTS)


def _tum_list(folder: Path, table: Path) -> list[tuple[int, Path]]:
    found = []
    for number, line in enumerate(read_text(table).splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        time, _, name = line.strip().partition(" ")
        try:
            if time.startswith("-"):
                raise ValueError
            seconds, _, fraction = time.partition(".")
            stamp = int(seconds) * int(NANOSECONDS) + int((fraction + "0" * 9)[:9])
        except ValueError:
            raise DatasetError(
                f"{table}: line {number} does not begin with a time in seconds of at least 0; correct it"
            ) from None
        file = folder / name.strip()
        if not is_inside(name.strip()) or not file.is_file():
            raise DatasetError(f"{table}: line {number} names {name.strip()}, which is missing; restore the file")
        found.append((stamp, file))
    return sorted(found)


def is_open3d(path: Path) -> bool:
    """True for a folder in the layout of Open3D's recorders."""
    return (path / OPEN3D_FOLDERS[COLOUR]).is_dir()


def read_open3d(path: Path, counts_per_metre: float = 0) -> FolderRecording:
    """A recording of Open3D: ``color/NAME.jpg``, ``depth/NAME.png`` of the same names, ``camera_intrinsic.json``.

    It has no times. So the time of an image is the place of its name among all names, in seconds.

    Raises
    ------
    DatasetError
        If ``camera_intrinsic.json`` is malformed.
    """
    files = {
        stream: {file.stem: file for file in (path / folder).glob("*") if file.suffix.lower() in IMAGE_SUFFIXES}
        for stream, folder in OPEN3D_FOLDERS.items()
    }
    names = sorted(files[COLOUR].keys() | files[DEPTH].keys(), key=_with_numbers)
    place = {name: number for number, name in enumerate(names)}
    listed = {
        stream: sorted((place[name] * int(NANOSECONDS), file) for name, file in of.items())
        for stream, of in files.items()
    }
    intrinsics, counts = _open3d_camera(path)
    return FolderRecording(listed, counts_per_metre or counts, intrinsics)


def _with_numbers(name: str) -> list[tuple[str, int]]:
    """A key by which 2 comes before 10."""
    return [(text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d*)", name)]


def _open3d_camera(path: Path) -> tuple[dict[str, Any] | None, float]:
    """Intrinsics, and counts of depth per metre: ``depth_scale``, which the recorder for RealSense writes, too."""
    file = next((path / name for name in OPEN3D_INTRINSICS if (path / name).exists()), None)
    if file is None:
        return None, OPEN3D_COUNTS
    try:
        found = json.loads(read_text(file))
        matrix = np.array(found["intrinsic_matrix"], float).reshape(3, 3).T
        counts = found.get("depth_scale", OPEN3D_COUNTS)
        if not is_number(counts, 1):
            raise ValueError
        return pinhole(found["width"], found["height"], matrix), float(counts)
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{file}: is not an intrinsic file of Open3D (width, height, intrinsic_matrix, perhaps depth_scale, "
            "counts a metre); correct it or remove it"
        ) from error
