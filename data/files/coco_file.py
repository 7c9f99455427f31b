"""COCO annotation files, parsed once per process; readers and label encodings share them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from data.errors import DatasetError
from data.files.facts import kept_while_unchanged
from data.files.json_file import is_number, is_whole, read_json


@kept_while_unchanged(4)
def read_coco_file(path: Path) -> dict:
    """Content of a COCO file, checked: the lists ``images``, ``categories`` and ``annotations``, with all that is read.

    Raises
    ------
    DatasetError
        As `read_json`, and if a list or a field is missing or has another type, an id is not unique, or an annotation
        names an image or a category that is not listed.
    """
    content = read_json(path)
    images = _ids(path, content, "images", _fault_of_image)
    categories = _ids(path, content, "categories", _fault_of_category)
    names = [item["name"] for item in content["categories"]]
    if len(set(names)) != len(names):
        raise DatasetError(f"{path}: two categories have the same name; give each its own")
    _ids(path, content, "annotations", _fault_of_annotation)
    for item in content["annotations"]:
        if item["category_id"] not in categories:
            raise DatasetError(
                f"{path}: annotation {item['id']} has the unknown category {item['category_id']}; "
                "add it to the categories or correct the annotation"
            )
        if item["image_id"] not in images:
            raise DatasetError(
                f"{path}: annotation {item['id']} has the unknown image {item['image_id']}; "
                "add it to the images or remove the annotation"
            )
    return content


def _ids(path: Path, content: dict, name: str, fault_of: Callable[[dict], str]) -> set[int]:
    """Ids of a list of the file, all items of which are checked."""
    items = content.get(name)
    if not isinstance(items, list):
        raise DatasetError(f"{path}: has no list '{name}'; export the file again")
    found: set[int] = set()
    for position, item in enumerate(items):
        fault = "is no object" if not isinstance(item, dict) else _fault_of_id(item.get("id"), found) or fault_of(item)
        if fault:
            raise DatasetError(f"{path}: item {position} of '{name}' {fault}; correct it or export the file again")
        found.add(item["id"])
    return found


def _fault_of_id(value: Any, known: set[int]) -> str:
    if not is_whole(value):
        return f"has the id {value!r:.40}, which is no whole number"
    return f"has the id {value} of another item" if value in known else ""


def _fault_of_image(item: dict) -> str:
    for key in ("height", "width"):
        if not is_whole(item.get(key, 1), 1):
            return f"has the {key} {item[key]!r:.40}, which is no whole number of pixels"
    return _fault_of_text(item, "file_name")


def _fault_of_category(item: dict) -> str:
    return _fault_of_text(item, "name")


def _fault_of_text(item: dict, key: str) -> str:
    value = item.get(key)
    return "" if isinstance(value, str) and value.strip() else f"has the {key} {value!r:.40}, which is no text"


def _fault_of_annotation(item: dict) -> str:
    for key in ("image_id", "category_id"):
        if not is_whole(item.get(key)):
            return f"has the {key} {item.get(key)!r:.40}, which is no whole number"
    if not isinstance(item.get("segmentation"), list | dict):
        return "has no segmentation: neither polygons nor run lengths"
    if item.get("iscrowd", 0) not in (0, 1):
        return f"has iscrowd {item['iscrowd']!r:.40}, which is neither 0 nor 1"
    return "" if is_number(item.get("area", 0), 0) else f"has the area {item['area']!r:.40}, which is no number"


@kept_while_unchanged(4)
def annotations_of(path: Path) -> tuple[dict[int, list[dict]], dict[int, int]]:
    """Instances and class numbers of a COCO file.

    Returns
    -------
    instances : dict of image id -> list of its annotations
        Each has an ``area``.
    class_of : dict of category id -> class number
        1.. in the order of the category ids, which may have gaps.

    Raises
    ------
    DatasetError
        As `read_coco_file`, and if an annotation has no area.
    """
    content = read_coco_file(path)
    category_ids = sorted(category["id"] for category in content["categories"])
    class_of = {category_id: class_number for class_number, category_id in enumerate(category_ids, start=1)}
    instances: dict[int, list[dict]] = {}
    for item in content["annotations"]:
        if "area" not in item:
            raise DatasetError(f"{path}: annotation {item['id']} has no area, which says what covers what; add it")
        instances.setdefault(item["image_id"], []).append(item)
    return instances, class_of


@kept_while_unchanged(4)
def sizes_of(path: Path) -> dict[int, tuple[int | None, int | None]]:
    """Image id -> height and width in pixels, None where a COCO file does not say; raises as `read_coco_file`."""
    return {item["id"]: (item.get("height"), item.get("width")) for item in read_coco_file(path)["images"]}
