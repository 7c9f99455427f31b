import json

import pytest

from data.errors import DatasetError
from data.files.coco_file import annotations_of, read_coco_file


def write(path, category_ids, annotations=()):
    categories = [{"id": category_id, "name": f"c{category_id}"} for category_id in category_ids]
    items = [
        {"id": index, "image_id": image_id, "category_id": category_id}
        for index, (image_id, category_id) in enumerate(annotations)
    ]
    path.write_text(json.dumps({"images": [], "categories": categories, "annotations": items}))
    return path


def test_classes_are_numbered_in_the_order_of_category_ids_without_gaps(tmp_path):
    _, class_of = annotations_of(write(tmp_path / "a.json", [90, 1, 3]))
    assert class_of == {1: 1, 3: 2, 90: 3}


def test_instances_are_grouped_by_image(tmp_path):
    instances, _ = annotations_of(write(tmp_path / "a.json", [1, 3], [(7, 3), (8, 1), (7, 1)]))
    assert {image_id: [item["id"] for item in items] for image_id, items in instances.items()} == {7: [0, 2], 8: [1]}


def test_a_file_is_parsed_once(tmp_path):
    path = write(tmp_path / "a.json", [1])
    assert read_coco_file(path) is read_coco_file(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match="gone.json: file is missing; .*--data-root"):
        read_coco_file(tmp_path / "gone.json")


def test_invalid_json_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DatasetError, match="a.json: is not valid JSON"):
        read_coco_file(tmp_path / "a.json")


def test_an_unknown_category_is_named(tmp_path):
    with pytest.raises(DatasetError, match="a.json: annotation 1 has the unknown category 12"):
        annotations_of(write(tmp_path / "a.json", [1], [(7, 1), (7, 12)]))
