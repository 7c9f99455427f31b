"""What every kind of recording gives: its images as they were recorded, with time stamps, and the intrinsics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

COLOUR, DEPTH = "colour", "depth"
"""The two streams of a recording."""

NANOSECONDS = 1e9
"""Per second."""


@dataclass(frozen=True)
class Packed:
    """An image as it was recorded. It is decoded only if it is wanted.

    Attributes
    ----------
    place : str
        File, topic and time, for error lines.
    decode : callable
        () -> colour (H, W, 3) uint8 in RGB, or depth (H, W) uint16 in millimetres, 0 = not measured. ImageError if the
        image is damaged, or of a kind that cannot be read.
    jpeg : callable
        () -> the JPEG file that a colour image was recorded as, which is kept as it is; None if it was none.
    size : int
        Bytes that it takes in memory.
    frame_id : str
        Name of the camera's coordinate frame; empty if the recording has none.
    """

    place: str
    decode: Callable[[], np.ndarray]
    jpeg: Callable[[], bytes | None]
    size: int
    frame_id: str = ""


class Recording(Protocol):
    """A recording that is open. Both functions go through it from the beginning; nothing of it stays in memory."""

    def stamps(self) -> dict[str, np.ndarray]:
        """Time of every image: stream -> (N,) int64 in nanoseconds, -1 for a message that cannot be read."""

    def images(self) -> Iterator[tuple[str, int, Packed]]:
        """Yield stream, number in `stamps` and image, in the order of the recording; none that cannot be read."""

    def intrinsics(self) -> dict[str, Any] | None:
        """Intrinsics of the colour camera as Open3D writes them (`pinhole`); None if the recording has none."""


def pinhole(width: int, height: int, matrix: np.ndarray) -> dict[str, Any]:
    """Intrinsics in the format of Open3D's ``camera_intrinsic.json``: its matrix is stored column by column.

    Parameters
    ----------
    width, height : int
        Of the image, in pixels.
    matrix : ndarray, (3, 3)
        fx, 0, cx; 0, fy, cy; 0, 0, 1; in pixels.

    Examples
    --------
    >>> pinhole(640, 480, np.array([[600, 0, 320], [0, 610, 240], [0, 0, 1]]))["intrinsic_matrix"]
    [600.0, 0.0, 0.0, 0.0, 610.0, 0.0, 320.0, 240.0, 1.0]
    """
    return {
        "width": int(width),
        "height": int(height),
        "intrinsic_matrix": np.asarray(matrix, float).reshape(3, 3).T.ravel().tolist(),
    }


def millimetres(depth: np.ndarray, counts_per_metre: float) -> np.ndarray:
    """Depth as the folder layout stores it, (H, W) uint16 in millimetres.

    What is no positive number, and what is beyond 65.535 m, is 0: not measured.

    Parameters
    ----------
    depth : ndarray, (H, W)
        Whole numbers or floats.
    counts_per_metre : float
        1 for metres.

    Examples
    --------
    >>> millimetres(np.array([[0.5, np.nan, np.inf, -1, 70]]), 1).tolist()
    [[500, 0, 0, 0, 0]]
    """
    if depth.dtype == np.uint16 and counts_per_metre == 1000:
        return depth
    with np.errstate(invalid="ignore"):
        found = np.rint(depth.astype(np.float64) * (1000 / counts_per_metre))
        is_depth = (found > 0) & (found < 65535.5)
    return np.where(is_depth, found, 0).astype(np.uint16)
