"""Label files of every encoding, each written here as its data set writes it."""

import json

import numpy as np
import pytest
from PIL import Image

from data.errors import ImageError
from data.files.encodings import CITYSCAPES_IDS, ENCODINGS, SUIM_COLOURS
from data.sample import UNLABELLED


def test_cityscapes_ids_become_train_ids(tmp_path):
    ids = np.array([[0, 7, 8], [33, 34, 26]], np.uint8)
    Image.fromarray(ids).save(tmp_path / "a.png")
    found = ENCODINGS["cityscapes"](tmp_path / "a.png", "", (2, 3))
    assert found.tolist() == [[UNLABELLED, 0, 1], [18, UNLABELLED, 13]]
    assert len(set(CITYSCAPES_IDS)) == 19


def test_suim_colours_become_class_numbers(tmp_path):
    Image.fromarray(np.array([SUIM_COLOURS], np.uint8)).save(tmp_path / "a.bmp")
    assert ENCODINGS["suim"](tmp_path / "a.bmp", "", (1, 8)).tolist() == [list(range(8))]


def test_pannuke_types_become_classes(tmp_path):
    masks = np.zeros((3, 2, 4, 6))
    masks[2, 0, 1, 0], masks[2, 1, 3, 4] = 17, 3
    masks[2, ..., 5] = 1
    np.save(tmp_path / "masks.npy", masks)
    found = ENCODINGS["pannuke"](tmp_path / "masks.npy" / "2", "", (2, 4))
    assert found.tolist() == [[0, 1, 0, 0], [0, 0, 0, 5]]


def test_sbd_is_a_matlab_structure(tmp_path):
    from scipy.io import savemat

    labels = np.array([[0, 5], [20, 255]], np.uint8)
    savemat(tmp_path / "a.mat", {"GTcls": {"Segmentation": labels, "CategoriesPresent": [5, 20]}})
    assert ENCODINGS["sbd"](tmp_path / "a.mat", "", (2, 2)).tolist() == [[0, 5], [20, UNLABELLED]]
    (tmp_path / "b.mat").write_bytes(b"not matlab")
    with pytest.raises(ImageError, match="b.mat: is not an SBD annotation"):
        ENCODINGS["sbd"](tmp_path / "b.mat", "", (2, 2))


def coco_file(path, annotations):
    categories = [{"id": 3, "name": "car"}, {"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}]
    for annotation_id, item in enumerate(annotations):
        item.update(id=annotation_id, image_id=item.get("image_id", 7))
    images = [{"id": image_id, "file_name": f"{image_id}.jpg"} for image_id in (7, 8)]
    path.write_text(json.dumps({"images": images, "categories": categories, "annotations": annotations}))
    return path


def box(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def test_coco_draws_small_instances_over_large_ones_and_numbers_classes_without_gaps(tmp_path):
    path = coco_file(
        tmp_path / "instances.json",
        [
            {"category_id": 90, "area": 4, "segmentation": box(3, 3, 4, 4)},
            {"category_id": 1, "area": 64, "segmentation": box(1, 1, 8, 8)},
            {"category_id": 3, "area": 4, "segmentation": box(0, 0, 1, 1), "image_id": 8},
        ],
    )
    found = ENCODINGS["coco"](path, "7", (10, 12))
    assert found[2, 2] == 1
    assert found[3, 3] == 3
    assert found[9, 11] == 0
    assert set(np.unique(found)) == {0, 1, 3}
    assert ENCODINGS["coco"](path, "99", (10, 12)).max() == 0


def test_coco_numbers_of_more_classes_than_a_byte_holds(tmp_path):
    categories = [{"id": number, "name": str(number)} for number in range(1, 1204)]
    annotations = [
        {"id": left, "image_id": 7, "category_id": number, "area": 4, "segmentation": box(left, 0, left + 1, 1)}
        for left, number in zip(range(0, 15, 3), (44, 255, 256, 300, 1203), strict=True)
    ]
    path = tmp_path / "instances.json"
    images = [{"id": 7, "file_name": "a.jpg", "height": 4, "width": 16}]
    path.write_text(json.dumps({"images": images, "categories": categories, "annotations": annotations}))
    found = ENCODINGS["coco"](path, "7", (4, 16))
    assert found[0, ::3].tolist() == [44, 255, 256, 300, 1203, 0]


def test_coco_crowds_are_unlabelled_and_below_the_instances(tmp_path):
    counts = [0, 30, 70]  # run lengths down the columns: the first three columns of ten rows
    path = coco_file(
        tmp_path / "instances.json",
        [
            {"category_id": 1, "area": 30, "iscrowd": 1, "segmentation": {"size": [10, 10], "counts": counts}},
            {"category_id": 3, "area": 50, "segmentation": box(0, 0, 1, 1)},
        ],
    )
    found = ENCODINGS["coco"](path, "7", (10, 10))
    assert found[0, 0] == 2
    assert (found[5, :3] == UNLABELLED).all()
    assert (found[:, 3:] == 0).all()


def test_labelme_polygons_are_drawn_in_order_and_the_rest_is_unlabelled(tmp_path):
    shapes = [
        {"label": "road", "points": [[0, 0], [9, 0], [9, 9], [0, 9]]},
        {"label": "car", "points": [[2, 2], [4, 2], [4, 4], [2, 4]]},
    ]
    (tmp_path / "a.json").write_text(json.dumps({"shapes": shapes}))
    found = ENCODINGS["labelme"](tmp_path / "a.json", "road|car", (12, 12))
    assert found[0, 0] == 0
    assert found[3, 3] == 1
    assert found[11, 11] == UNLABELLED
    with pytest.raises(ImageError, match="a.json: class 'car' is unknown; use one of: road"):
        ENCODINGS["labelme"](tmp_path / "a.json", "road", (12, 12))


def test_coarse_polygons_of_a_coco_file_leave_the_rest_unlabelled(tmp_path):
    path = coco_file(tmp_path / "coarse.json", [{"category_id": 3, "segmentation": box(1, 1, 4, 4)}])
    content = json.loads(path.read_text())
    content["images"] = [{"id": 7, "file_name": "a.jpg"}]
    path = tmp_path / "named.json"
    path.write_text(json.dumps(content))
    found = ENCODINGS["coco_polygons"](path, "a.jpg|background|car", (8, 8))
    assert found[2, 2] == 1
    assert found[7, 7] == UNLABELLED
    with pytest.raises(ImageError, match="named.json: has no image 'b.jpg'"):
        ENCODINGS["coco_polygons"](path, "b.jpg|background|car", (8, 8))
    with pytest.raises(ImageError, match="class 'car' is unknown; use one of: background, bus"):
        ENCODINGS["coco_polygons"](path, "a.jpg|background|bus", (8, 8))
