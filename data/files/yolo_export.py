"""YOLO's text files of polygons, as the library ultralytics reads them for the task "segment".

::

    data.yaml              folders and class names
    images/SPLIT/NAME.jpg  the images: labels are looked for beside them
    labels/SPLIT/NAME.txt  one line per object: class (from 0), then x and y of each corner, as shares of the size

Source: ultralytics' manual, "Instance segmentation datasets"; its functions `verify_image_label`, `polygon2mask`,
`merge_multi_segment` and `resample_segments`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np

from data.files.exported_frames import ANY_CLASS, ExportedFrame
from data.files.images import read_image
from data.files.pixels import is_member
from data.files.png import png_bytes
from data.files.polygons import corners, joined, parts_of

COPIED = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
"""Endings, in lower case, of images that ultralytics opens, too. All others become PNG."""


def yolo_files(
    frames: Iterable[ExportedFrame], names: Sequence[str], class_names: Sequence[str], split: str, parts_apart: bool
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file.

    Parameters
    ----------
    frames : iterable of ExportedFrame
    names : sequence of str
        Name of each image, without ending.
    class_names : sequence of str
        Number 0 first; it is the background, which YOLO does not name.
    split : str
    parts_apart : bool
        Each connected part is an object of its own, as a label map needs it. Else an object with several parts is one
        line, whose parts are joined by thin bridges.

    Raises
    ------
    ImageError
        If an image cannot be read.
    ImportError
        If OpenCV is not installed.
    """
    any_class, has_any = len(class_names) - 1, False
    for name, frame in zip(names, frames, strict=True):
        lines = []
        for item in frame.objects:
            has_any |= item.class_number == 0
            number = item.class_number - 1 if item.class_number else any_class
            lines += [f"{number} {row}\n" for row in polygon_rows(item.mask, parts_apart)]
        yield f"labels/{split}/{name}.txt", "".join(lines).encode()
        suffix, content = _image(frame)
        yield f"images/{split}/{name}{suffix}", content
    listed = [*class_names[1:], *([ANY_CLASS] if has_any else [])]
    yield "data.yaml", _description(listed, split).encode()


def polygon_rows(mask: np.ndarray, parts_apart: bool) -> list[str]:
    """The corners of a mask as YOLO writes them, one text per object: ``x y x y ...``, shares of the size.

    A hole is reached from the outer border by a bridge that is walked there and back, so the line encloses the object
    alone. A pixel has the coordinates of its centre: ultralytics rounds down, and gets the pixel.

    Parameters
    ----------
    mask : ndarray, (H, W), bool
    parts_apart : bool
        As of `yolo_files`.
    """
    parts = parts_of(mask)
    lines = [joined(part) for part in parts]
    if not parts_apart and lines:
        lines = [joined(lines)]
    size = np.array(mask.shape[::-1])
    return [" ".join(f"{value:.6f}" for value in (_outline(line) / size).ravel()) for line in lines]


def _outline(line: np.ndarray) -> np.ndarray:
    """The corners of a line in pixels. A line without width gets one inside its pixels: its box must have an area."""
    low, high = line.min(0), line.max(0)
    if (low == high).any():
        (left, top), (right, bottom) = low + 0.25, high + 0.75
        return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    return corners(line) + 0.5


def _image(frame: ExportedFrame) -> tuple[str, bytes]:
    """Ending and content of an image file: its own, or PNG if it is none of `COPIED`."""
    suffix = PurePosixPath(frame.name).suffix
    if suffix.lower() in COPIED and not is_member(frame.path):
        return suffix, frame.path.read_bytes()
    return ".png", png_bytes(read_image(frame.path))


def _description(names: Sequence[str], split: str) -> str:
    """Content of data.yaml. Without ``path``, ultralytics takes the folder of this file. A JSON text is YAML."""
    listed = "".join(f"  {number}: {json.dumps(name, ensure_ascii=False)}\n" for number, name in enumerate(names))
    return (
        "# This export has one split. ultralytics needs both entries: name another folder to validate on.\n"
        f"train: images/{split}\nval: images/{split}\nnames:\n{listed}"
    )
