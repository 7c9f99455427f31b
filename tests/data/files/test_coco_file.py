import json

import pytest

from data.errors import DatasetError
from data.files.coco_file import annotations_of, read_coco_file, sizes_of


def write(path, category_ids, annotations=()):
    categories = [{"id": category_id, "name": f"c{category_id}"} for category_id in category_ids]
    items = [
        {"id": index, "image_id": image_id, "category_id": category_id, "area": 4, "segmentation": []}
        for index, (image_id, category_id) in enumerate(annotations)
    ]
    images = [{"id": image_id, "file_name": f"{image_id}.jpg"} for image_id in (7, 8)]
    path.write_text(json.dumps({"images": images, "categories": categories, "annotations": items}))
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


def change(path, kind, **values):
    content = json.loads(path.read_text())
    content[kind][-1].update(values)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("images", {"id": "7"}, "item 1 of 'images' has the id '7', which is no whole number"),
        ("images", {"id": 7}, "item 1 of 'images' has the id 7 of another item"),
        ("images", {"file_name": None}, "item 1 of 'images' has the file_name None, which is no text"),
        ("images", {"height": 0.5}, "item 1 of 'images' has the height 0.5"),
        ("categories", {"name": ["c"]}, r"item 1 of 'categories' has the name \['c'\], which is no text"),
        ("categories", {"name": "c1"}, "two categories have the same name"),
        ("annotations", {"image_id": 9}, "annotation 1 has the unknown image 9"),
        ("annotations", {"image_id": 7.0}, "item 1 of 'annotations' has the image_id 7.0"),
        ("annotations", {"category_id": True}, "item 1 of 'annotations' has the category_id True"),
        ("annotations", {"segmentation": None}, "item 1 of 'annotations' has no segmentation"),
        ("annotations", {"iscrowd": "no"}, "item 1 of 'annotations' has iscrowd 'no'"),
        ("annotations", {"area": float("nan")}, "item 1 of 'annotations' has the area nan"),
    ],
)
def test_fields_that_are_read_are_checked(tmp_path, kind, values, message):
    path = write(tmp_path / "a.json", [1, 3], [(7, 3), (8, 1)])
    read_coco_file.cache_clear()
    assert read_coco_file(path)
    read_coco_file.cache_clear()
    change(path, kind, **values)
    with pytest.raises(DatasetError, match=f"a.json: {message}"):
        read_coco_file(path)


def test_a_missing_list_is_named(tmp_path):
    (tmp_path / "a.json").write_text('{"images": []}')
    with pytest.raises(DatasetError, match="a.json: has no list 'categories'"):
        read_coco_file(tmp_path / "a.json")


def test_an_instance_needs_an_area_for_the_order(tmp_path):
    path = write(tmp_path / "a.json", [1], [(7, 1)])
    path.write_text(path.read_text().replace('"area": 4, ', ""))
    with pytest.raises(DatasetError, match="a.json: annotation 0 has no area"):
        annotations_of(path)


def test_sizes_are_those_of_the_file(tmp_path):
    path = write(tmp_path / "a.json", [1])
    change(path, "images", height=4, width=6)
    assert sizes_of(path) == {7: (None, None), 8: (4, 6)}
