"""COCO annotation files, parsed once per process; the reader of COCO sets and the label encodings share them."""

from __future__ import annotations

import functools
from pathlib import Path

from data.errors import DatasetError
from data.files.json_file import read_json


@functools.lru_cache(maxsize=4)
def read_coco_file(path: Path) -> dict:
    """Content of a COCO file; raises as `read_json`."""
    return read_json(path)


@functools.lru_cache(maxsize=4)
def annotations_of(path: Path) -> tuple[dict[int, list[dict]], dict[int, int]]:
    """Instances and class numbers of a COCO file.

    Returns
    -------
    instances : dict of image id -> list of its annotations
    class_of : dict of category id -> class number
        1.. in the order of the category ids, which may have gaps.

    Raises
    ------
    DatasetError
        As `read_json`, and if an annotation has an unknown category.
    """
    content = read_coco_file(path)
    category_ids = sorted(category["id"] for category in content["categories"])
    class_of = {category_id: class_number for class_number, category_id in enumerate(category_ids, start=1)}
    instances: dict[int, list[dict]] = {}
    for item in content["annotations"]:
        if item["category_id"] not in class_of:
            raise DatasetError(
                f"{path}: annotation {item['id']} has the unknown category {item['category_id']}; "
                "add it to the categories or correct the annotation"
            )
        instances.setdefault(item["image_id"], []).append(item)
    return instances, class_of
