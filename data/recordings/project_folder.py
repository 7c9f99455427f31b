"""The folder that a recording is imported into: the layout of the data set ``folder`` (`data.readers.folder`).

::

    root/images/NAME@000123.jpg    frame 123 of the recording NAME, from 0; PNG if it was not recorded as JPEG
    root/depth/NAME@000123.png     16 bits, millimetres
    root/intrinsics/NAME.json      as Open3D writes them
    root/labels.csv                a row for each frame, if tags are given
    root/.imported/NAME.json       what was imported, and how; written last

Frames are written into ``root/.importing/NAME`` and moved at the end. So a run that was killed leaves no half of a
recording: its frames are not in ``labels.csv``, and the next run begins again.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import DatasetError
from data.files.intrinsics import RECORDED
from data.files.png import png_bytes
from data.files.text_file import read_text
from data.sample import TRAIN
from data.store.artifact import write_bytes, write_json, writing

FOLDERS = ("images", "depth")


class ProjectFolder:
    """Writes the frames of one recording.

    Parameters
    ----------
    root : Path
        Folder of the data set. It may hold other recordings and other images.
    name : str
        Name of the recording.
    """

    def __init__(self, root: Path, name: str):
        self.root, self.name = root, name
        self.waiting = root / ".importing" / name
        self.marker = root / ".imported" / f"{name}.json"
        self._mine = re.compile(re.escape(name) + r"@\d+\.\w+")

    def has(self, made: dict[str, Any]) -> bool:
        """True if the recording was imported as `made` says, and all its frames are there."""
        known = self.known()
        return known.get("made") == made and known.get("files") == self._files(self.root)

    def known(self) -> dict[str, Any]:
        """What is known of the last import: `made` and `place` as given to `finish`; empty if there was none."""
        try:
            found = json.loads(self.marker.read_bytes())
            return found if isinstance(found["made"], dict) else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def begin(self) -> None:
        """Make room for the frames; what an interrupted run has left is removed."""
        with writing(self.waiting):
            shutil.rmtree(self.waiting, ignore_errors=True)
            for folder in FOLDERS:
                (self.waiting / folder).mkdir(parents=True)

    def add(self, number: int, colour: np.ndarray, jpeg: bytes | None, depth: np.ndarray | None) -> None:
        """Write a frame.

        Parameters
        ----------
        number : int
            Of the colour image in the recording. It stays the same if other frames are chosen later.
        colour : ndarray, (H, W, 3), uint8
        jpeg : bytes or None
            The file that the image was recorded as; None: it is written as PNG.
        depth : ndarray, (H, W), uint16, or None
            In millimetres.

        Raises
        ------
        StoreError
            If the disk is full or the folder cannot be written.
        """
        stem = f"{self.name}@{number:06d}"
        path = self.waiting / "images" / f"{stem}{'.png' if jpeg is None else '.jpg'}"
        with writing(path):
            path.write_bytes(png_bytes(colour, compress_level=1) if jpeg is None else jpeg)
        if depth is not None:
            path = self.waiting / "depth" / f"{stem}.png"
            with writing(path):
                path.write_bytes(png_bytes(depth, compress_level=1))

    def finish(
        self, made: dict[str, Any], place: Path, tags: str, split: str, intrinsics: dict[str, Any] | None
    ) -> None:
        """Put the frames in place of those of an earlier import. `has(made)` is true afterwards.

        Parameters
        ----------
        made : dict
            What the frames depend on, as JSON can hold it.
        place : Path
            Where the recording lies; the frames do not depend on it.
        tags : str
            Tags of every frame; empty: rows that ``labels.csv`` has for these frames stay, and no others are written.
        split : str
        intrinsics : dict or None
        """
        frames = sorted(os.listdir(self.waiting / "images"))
        rows = self._other_rows(frames if not tags else [])
        os.sync()  # after a power failure, the marker must not vouch for frames that never reached the disk
        with writing(self.root):
            self.marker.unlink(missing_ok=True)
            self._write_rows(rows)  # first, so that it never names a frame that is gone
            for folder in FOLDERS:
                (self.root / folder).mkdir(exist_ok=True)
                for old in self._files(self.root)[folder]:
                    (self.root / folder / old).unlink()
                for path in (self.waiting / folder).iterdir():
                    path.replace(self.root / folder / path.name)
            shutil.rmtree(self.waiting)
            with contextlib.suppress(OSError):  # another recording may wait there
                self.waiting.parent.rmdir()
        if intrinsics:
            write_json(self.root / RECORDED / f"{self.name}.json", intrinsics)
        if tags:
            self._write_rows(rows + [{"image": frame, "tags": tags, "split": split} for frame in frames])
        write_json(self.marker, {"made": made, "place": str(place), "files": self._files(self.root)})

    def _files(self, place: Path) -> dict[str, list[str]]:
        """The frames of this recording in a folder: ``images`` or ``depth`` -> names."""
        return {
            folder: sorted(name for name in os.listdir(place / folder) if self._mine.fullmatch(name))
            if (place / folder).is_dir()
            else []
            for folder in FOLDERS
        }

    @property
    def _table(self) -> Path:
        return self.root / "labels.csv"

    def _other_rows(self, kept: list[str]) -> list[dict[str, str]]:
        """Rows of ``labels.csv`` that stay: those of other images, and those of the frames `kept`."""
        if not self._table.exists():
            return []
        try:
            reader = csv.DictReader(io.StringIO(read_text(self._table), newline=""), strict=True)
            rows = list(reader)
        except csv.Error as error:
            raise DatasetError(f"{self._table}: is malformed ({error}); correct its quotes") from error
        if not {"image", "tags"} <= set(reader.fieldnames or ()) or any(
            None in row or None in row.values() for row in rows
        ):
            raise DatasetError(f"{self._table}: is no table with the columns image,tags; correct it, or move it away")
        names = set(kept)
        return [row for row in rows if row["image"] in names or not self._mine.fullmatch(row["image"])]

    def _write_rows(self, rows: list[dict[str, str]]) -> None:
        if not rows and not self._table.exists():
            return
        columns = list(dict.fromkeys(["image", "tags", "split", *(name for row in rows for name in row)]))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "split": row.get("split") or TRAIN} for row in rows)
        write_bytes(self._table, text.getvalue().encode())
