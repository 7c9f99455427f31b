import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.errors import ImageError
from data.files.instance_truth import instance_file, instance_map, read_instances
from data.readers.bop import read_bop
from data.readers.coco import read_coco
from data.readers.folder import read_folder


@pytest.fixture
def folder(tmp_path) -> Path:
    """One image with a table (1), a mug (2) and something without a class (3)."""
    for name in ("images", "masks", "instances"):
        (tmp_path / name).mkdir()
    numbers = np.zeros((20, 30), np.uint8)
    numbers[10:], numbers[5:15, 2:10], numbers[5:15, 20:28] = 1, 2, 3
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "images/a.jpg")
    Image.fromarray(np.where(numbers == 2, 2, 0).astype(np.uint8)).save(tmp_path / "masks/a.png")
    Image.fromarray(numbers).save(tmp_path / "instances/a.png")
    (tmp_path / "labels.csv").write_text("image,tags,split\na.jpg,mug,evaluation\n")
    (tmp_path / "classes.txt").write_text("bowl\nmug\n")
    return tmp_path


def first(folder):
    return read_folder(folder).samples[0]


def test_numbers_beside_a_folder_set_take_their_class_from_the_mask(folder):
    found = read_instances(first(folder), 2, table=1)
    assert [(item.class_number, int(item.mask.sum())) for item in found] == [(2, 80), (0, 80)]
    assert not any(item.ignored for item in found)
    assert len(read_instances(first(folder), 2)) == 3  # the table is one, unless it is named
    assert np.unique(instance_map(found, (20, 30))).tolist() == [0, 1, 2]


def test_images_of_one_name_in_two_class_folders_have_their_own_files(tmp_path):
    """As masks/ and depth/ have them; both once had the file of the last part of the name."""
    for folder, values in (("images/mug", 9), ("images/plate", 9), ("instances/mug", 1), ("instances/plate", 2)):
        (tmp_path / folder).mkdir(parents=True)
        Image.fromarray(np.full((20, 30), values, np.uint8)).save(tmp_path / folder / "0001.png")
    samples = read_folder(tmp_path).samples
    assert [instance_file(sample) for sample in samples] == [
        tmp_path / "instances/mug/0001.png", tmp_path / "instances/plate/0001.png",
    ]  # fmt: skip
    (tmp_path / "labels.csv").write_text("image,tags,split\nmug/0001.png,mug,evaluation\n")
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "instances/0001.png")
    assert instance_file(first(tmp_path)) == tmp_path / "instances/mug/0001.png"
    (tmp_path / "instances/mug/0001.png").unlink()
    assert instance_file(first(tmp_path)) == tmp_path / "instances/0001.png"


def test_without_instances_there_is_no_such_truth(folder):
    (folder / "instances/a.png").unlink()
    assert instance_file(first(folder)) is None
    assert read_instances(first(folder), 2) is None


def test_a_file_of_another_size_or_kind_is_refused(folder):
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(folder / "instances/a.png")
    with pytest.raises(ImageError, match=r"instances/a.png: mask has shape \(5, 6\), but image evaluation/a has"):
        read_instances(first(folder), 2)
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(folder / "instances/a.png")
    with pytest.raises(ImageError, match="instances/a.png: has RGB colours"):
        read_instances(first(folder), 2)


def test_the_masks_of_bop_are_instances(rendered):
    for sample in read_bop(rendered, {"evaluation": "test"}).samples:
        found = read_instances(sample, 5)
        assert [item.class_number for item in found] == [layer.class_index for layer in sample.truth]
        assert [item.ignored for item in found] == [layer.class_index not in sample.tags for layer in sample.truth]
        numbers = instance_map(found, (144, 192))
        for number, item in enumerate(found, start=1):
            assert np.array_equal(numbers == number, item.mask & (not item.ignored))


def test_annotations_of_coco_are_instances_and_crowds_are_ignored(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "val2017").mkdir()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "val2017/1.jpg")
    square = [[2, 2, 8, 2, 8, 8, 2, 8]]
    annotation = {"image_id": 1, "category_id": 7, "segmentation": square, "area": 36}
    content = {
        "images": [{"id": 1, "file_name": "1.jpg", "height": 20, "width": 30}],
        "categories": [{"id": 7, "name": "mug"}],
        "annotations": [{**annotation, "id": 1}, {**annotation, "id": 2, "iscrowd": 1}],
    }
    path = tmp_path / "annotations/instances_val2017.json"
    path.write_text(json.dumps(content))
    found = read_instances(sized(read_coco(tmp_path, {"evaluation": "val2017"}).samples[0]), 1)
    assert [(item.class_number, item.ignored) for item in found] == [(1, False), (1, True)]
    assert found[0].mask[2:8, 2:8].all()
    assert found[0].mask.sum() == 36


def sized(sample):
    return dataclasses.replace(sample, size=(20, 30))
