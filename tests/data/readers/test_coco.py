import json

import numpy as np
import pytest
from faults.mutations import mutated_json
from faults.outcomes import refusal
from reader_contract import check_layout, picture, read, save

from data.errors import DatasetError
from data.files.coco_file import annotations_of, read_coco_file
from data.readers import DATASETS


def make_coco(root):
    categories = [{"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}]
    for image_id, folder in enumerate(("train2014", "val2014")):
        name = f"COCO_{folder}_{image_id:012d}.jpg"
        save(root / "coco" / folder / name, picture())
        item = {
            "id": 1, "image_id": image_id, "category_id": 90, "area": 16, "iscrowd": 0,
            "segmentation": [[0, 0, 3, 0, 3, 3, 0, 3]],
        }  # fmt: skip
        content = {
            "images": [{"id": image_id, "file_name": name}],
            "categories": categories,
            "annotations": [item],
        }
        (root / "coco" / "annotations").mkdir(exist_ok=True)
        (root / "coco" / "annotations" / f"instances_{folder}.json").write_text(json.dumps(content))


def test_the_official_layout_is_indexed(tmp_path):
    make_coco(tmp_path)
    check_layout("coco", tmp_path, (1, 1), 2, (2,), 2)


def test_an_annotation_of_an_unknown_category_is_named(tmp_path):
    make_coco(tmp_path)
    path = tmp_path / "coco/annotations/instances_val2014.json"
    path.write_text(path.read_text().replace('"category_id": 90', '"category_id": 12'))
    with pytest.raises(DatasetError, match="instances_val2014.json: annotation 1 has the unknown category 12"):
        read("coco", tmp_path)


def test_an_image_outside_of_the_folder_is_named(tmp_path):
    make_coco(tmp_path)
    path = tmp_path / "coco/annotations/instances_val2014.json"
    path.write_text(path.read_text().replace("COCO_val2014", "../train2014/COCO_val2014"))
    with pytest.raises(DatasetError, match="the image '../train2014/COCO_val2014.*' is not below .*val2014"):
        read("coco", tmp_path)


def test_an_annotation_file_without_images_is_named(tmp_path):
    make_coco(tmp_path)
    path = tmp_path / "coco/annotations/instances_val2014.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"images": [], "annotations": []}))
    with pytest.raises(DatasetError, match=r"the evaluation split \(val2014\) has no images; .*--data-root"):
        read("coco", tmp_path)


def test_damaged_annotation_files_give_an_index_or_one_line(tmp_path):
    make_coco(tmp_path)
    rng, lines = np.random.default_rng(0), []
    path = tmp_path / "coco/annotations/instances_train2014.json"
    content = json.loads(path.read_text())
    for _ in range(200):
        path.write_text(mutated_json(content, rng))
        for cached in (read_coco_file, annotations_of):
            cached.cache_clear()
        lines.append(refusal(read, "coco", tmp_path))
    refused = list(filter(None, lines))
    assert all(line.startswith(str(tmp_path)) for line in refused)
    assert 100 < len(refused) < 200


def changed(root, split, *annotations):
    path = root / f"coco/annotations/instances_{split}.json"
    content = json.loads(path.read_text())
    first = content["annotations"][0]
    content["annotations"] = [{**first, "id": n, **values} for n, values in enumerate(annotations, start=1)]
    path.write_text(json.dumps(content))
    for cached in (read_coco_file, annotations_of):
        cached.cache_clear()
    index = read("coco", root)
    return index, DATASETS["coco"].notes(root / "coco", index)


@pytest.mark.parametrize("outline", [[], [[]], [[1, 1, 20, 20]]])
def test_boxes_without_an_outline_are_tags_and_no_ground_truth(tmp_path, outline):
    """What they surround was once background of the ground truth."""
    make_coco(tmp_path)
    index, notes = changed(tmp_path, "val2014", {"segmentation": outline}, {"category_id": 1})
    train, evaluation = index.samples
    assert evaluation.tags == (1, 2)
    assert (len(train.truth), evaluation.truth) == (1, ())
    assert notes == [
        "instances_val2014.json: 1 of 1 images have annotations without a segmentation, such as 1, so these images "
        "have tags but no ground truth; add outlines if scores are wanted"
    ]


def test_a_class_that_only_crowds_show_is_named(tmp_path):
    make_coco(tmp_path)
    assert DATASETS["coco"].notes(tmp_path / "coco", read("coco", tmp_path)) == []
    crowd = {"iscrowd": 1, "category_id": 1}
    index, notes = changed(tmp_path, "train2014", crowd, crowd, {})
    assert index.samples[0].tags == (2,)
    assert len(notes) == 1
    assert "instances_train2014.json: 1 times, an image shows a class as a crowd" in notes[0]
    assert "no tag: person (1); CVAT exports brush masks" in notes[0]
    _, notes = changed(tmp_path, "train2014", crowd, {"iscrowd": 0, "category_id": 1})
    assert notes == []
