"""Intrinsics of the camera that took an image, from the files that data sets have beside their images."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from data.errors import DatasetError
from data.files.json_file import is_number, is_whole, read_json
from data.files.working_size import UNKNOWN, size_in_files
from data.sample import Sample

BOP_CAMERAS = "scene_camera.json"
"""File of a scene in BOP layout: ``cam_K`` of each frame, row by row."""

RECORDED = "intrinsics"
"""Folder of a data set in folder layout: one file of Open3D for each recording, whose frames are ``NAME@...``."""

OPEN3D_INTRINSICS = ("camera_intrinsic.json", "intrinsic.json")
"""Files of Open3D for all images of a data set: ``intrinsic_matrix``, column by column."""


class Intrinsics(NamedTuple):
    """A pinhole camera without distortion: u = fx x / z + cx, v = fy y / z + cy.

    Attributes
    ----------
    fx, fy : float
        Focal lengths in pixels.
    cx, cy : float
        Principal point in pixels; the centre of the first pixel is (0, 0).
    """

    fx: float
    fy: float
    cx: float
    cy: float


def read_intrinsics(root: Path, sample: Sample) -> Intrinsics | None:
    """The intrinsics of an image at its working size, as the first of these files has them; None if there is none.

    1. ``scene_camera.json`` of its scene, in BOP layout
    2. ``intrinsics/NAME.json`` of the recording NAME that it is a frame of
    3. ``camera_intrinsic.json`` or ``intrinsic.json`` of the data set

    Parameters
    ----------
    root : Path
        Folder of the data set.
    sample : Sample

    Raises
    ------
    DatasetError
        If such a file is malformed. Lens distortion in it is not used.

    Notes
    -----
    A matrix belongs to the ``width`` and ``height`` in its file, or else to the size of the image as it is stored.
    """
    found = _stored(root, sample)
    if found is None:
        return None
    camera, own = found[0], found[1] or size_in_files(sample)
    if sample.size in (UNKNOWN, own):
        return camera
    fx, fy, cx, cy = camera
    x, y = sample.size[1] / own[1], sample.size[0] / own[0]
    return Intrinsics(fx * x, fy * y, (cx + 0.5) * x - 0.5, (cy + 0.5) * y - 0.5)


def _stored(root: Path, sample: Sample) -> tuple[Intrinsics, tuple[int, int] | None] | None:
    """The intrinsics as a file has them, and the height and width that it says."""
    cameras = sample.image.parent.parent / BOP_CAMERAS
    if cameras.is_file() and sample.image.stem.isdigit():
        frame = read_json(cameras).get(str(int(sample.image.stem)))
        return _of_matrix(cameras, frame.get("cam_K") if isinstance(frame, dict) else None, by_rows=True), None
    recording, is_frame, _ = sample.image.name.rpartition("@")
    files = [root / RECORDED / f"{recording}.json"] if is_frame else []
    for file in [*files, *(root / name for name in OPEN3D_INTRINSICS)]:
        if file.is_file():
            content = read_json(file)
            sides: Any = content.get("height"), content.get("width")
            own = (sides[0], sides[1]) if all(is_whole(side, 1) for side in sides) else None
            return _of_matrix(file, content.get("intrinsic_matrix"), by_rows=False), own
    return None


def _of_matrix(file: Path, matrix: Any, by_rows: bool) -> Intrinsics:
    """The intrinsics in a matrix of nine numbers."""
    if not (isinstance(matrix, list) and len(matrix) == 9 and all(map(is_number, matrix))):
        raise DatasetError(f"{file}: the camera matrix is {matrix!r:.60}; it must have 9 numbers; correct or remove it")
    rows = [matrix[start : start + 3] for start in (0, 3, 6)] if by_rows else [matrix[start::3] for start in range(3)]
    found = Intrinsics(rows[0][0], rows[1][1], rows[0][2], rows[1][2])
    if found.fx <= 0 or found.fy <= 0:
        raise DatasetError(f"{file}: has the focal lengths {found.fx:g}, {found.fy:g}; they must be above 0")
    return found
