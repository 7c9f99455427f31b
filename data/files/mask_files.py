"""Class-agnostic masks of another segmenter: PNG files of instance numbers, or a JSON file of the BOP challenge.

The JSON file is that of the 2D segmentation tasks (https://bop.felk.cvut.cz/challenges): a list of ``{"scene_id",
"image_id", "category_id", "score", "bbox", "segmentation", "time"}``, where the segmentation has COCO's run lengths.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from data.errors import DatasetError, ImageError
from data.files.encodings import read_label_values
from data.files.facts import kept_while_unchanged
from data.files.instances import instance_mask
from data.files.json_file import is_number, is_whole
from data.files.regular_file import read_bytes
from data.files.working_size import fitted, size_in_files
from data.sample import Sample


class MaskFiles:
    """The masks in a folder or in a JSON file.

    Parameters
    ----------
    path : Path
        A folder that holds ``<image id>.png``, or a file ``*.json``.
    """

    def __init__(self, path: Path):
        self.path = path
        self.is_json = path.suffix.lower() == ".json"

    def file_of(self, sample: Sample) -> Path:
        """The PNG file of an image."""
        return self.path / f"{sample.image_id}.png"

    def read(self, sample: Sample) -> list[tuple[float, np.ndarray]]:
        """Score and mask, (H, W) bool, of each instance of an image. Masks of PNG files have score 1.

        Raises
        ------
        ImageError
            If a file is missing, cannot be decoded, or does not have the size of the image.
        DatasetError
            If the JSON file is not of this form, or the image has no place in it.
        """
        if self.is_json:
            return self._of_json(sample)
        path = self.file_of(sample)
        numbers = fitted(read_label_values(path), sample)
        if numbers.shape != sample.size:
            raise ImageError(
                f"{path}: masks have shape {numbers.shape}, but image {sample.image_id} has {sample.size}; "
                "give both the same size"
            )
        return [(1.0, numbers == number) for number in np.unique(numbers) if number]

    def _of_json(self, sample: Sample) -> list[tuple[float, np.ndarray]]:
        found = []
        for position, item in _read_results(self.path).get(bop_place(sample), []):
            try:
                mask = instance_mask(item["segmentation"], size_in_files(sample))
                found.append((float(item["score"]), fitted(mask, sample)))
            except ValueError as error:
                raise ImageError(f"{self.path}: item {position}: {error}; write it for {sample.image_id}") from error
        return found


def bop_place(sample: Sample) -> tuple[int, int]:
    """Scene and frame number of an image of a BOP set.

    Raises
    ------
    DatasetError
        If its id does not end in two numbers.

    Examples
    --------
    >>> bop_place(Sample("val/000003/000012", "evaluation", Path(), ()))
    (3, 12)
    """
    *_, scene, frame = ("", "", *PurePosixPath(sample.image_id).parts)
    if not (scene.isdecimal() and frame.isdecimal()):
        raise DatasetError(f"{sample.image_id}: is not a frame of a numbered BOP scene; use PNG files or COCO instead")
    return int(scene), int(frame)


@kept_while_unchanged(2)
def _read_results(path: Path) -> dict[tuple[int, int], list[tuple[int, dict[str, Any]]]]:
    """Scene and frame -> (position in the file, item)."""
    try:
        items = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: is no JSON file ({error}); export it again") from error
    if not isinstance(items, list):
        raise DatasetError(f"{path}: holds no list of masks; export it again")
    found: dict[tuple[int, int], list[tuple[int, dict[str, Any]]]] = {}
    for position, item in enumerate(items):
        if not isinstance(item, dict) or not is_whole(item.get("scene_id")) or not is_whole(item.get("image_id")):
            raise DatasetError(f"{path}: item {position} has no scene_id and image_id; export it again")
        if not is_number(item.get("score"), 0, 1) or not isinstance(item.get("segmentation"), dict):
            raise DatasetError(f"{path}: item {position} has no score from 0 to 1 or no segmentation; export it again")
        found.setdefault((item["scene_id"], item["image_id"]), []).append((position, item))
    return found
