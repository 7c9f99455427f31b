"""COCO annotation files, parsed once a process: shared by the reader of COCO sets and by the label encodings."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from data.errors import DatasetError


@functools.lru_cache(maxsize=4)
def read_coco_file(path: Path) -> dict:
    """A COCO file's content; DatasetError if it is missing or no JSON."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DatasetError(
            f"{path}: file is missing; --data-root must name the folder that holds annotations/ and the images' folders"
        ) from error
    except ValueError as error:
        raise DatasetError(f"{path}: is not valid JSON ({error})") from error


@functools.lru_cache(maxsize=4)
def annotations_of(path: Path) -> tuple[dict[int, list[dict]], dict[int, int]]:
    """Instances by image id, and class number by category id."""
    content = read_coco_file(path)
    class_of = {number: place for place, number in enumerate(sorted(c["id"] for c in content["categories"]), start=1)}
    by_image: dict[int, list[dict]] = {}
    for item in content["annotations"]:
        if item["category_id"] not in class_of:
            raise DatasetError(f"{path}: annotation {item['id']} has the unknown category {item['category_id']}")
        by_image.setdefault(item["image_id"], []).append(item)
    return by_image, class_of
