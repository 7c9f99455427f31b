import os

import numpy as np
import pytest
from reader_contract import check_layout, labels, picture, read, save

from data.errors import DatasetError, ImageError
from data.readers.label_maps import RememberedTags, read_masks, tags_of
from data.sample import EVALUATION, TRAIN, LabelLayer


def make_camvid(root):
    for split in ("train", "val"):
        save(root / "camvid" / split / "images" / "a.png", picture())
        save(root / "camvid" / split / "labels" / "a.png", labels(8))


def test_the_official_layout_is_indexed(tmp_path):
    make_camvid(tmp_path)
    check_layout("camvid", tmp_path, (1, 1), 10, (8,), 8)


def test_a_class_that_the_set_does_not_have_is_named(tmp_path):
    make_camvid(tmp_path)
    save(tmp_path / "camvid/val/labels/a.png", labels(11))
    with pytest.raises(ImageError, match=r"val/labels/a.png: class number 11 is unknown; use 0..10 or 255"):
        read("camvid", tmp_path)


def test_255_is_a_tag_in_16_bits_alone_and_only_if_the_set_has_as_many_classes(tmp_path):
    for split in ("train", "val"):
        save(tmp_path / split / "images" / "a.png", picture())
        save(tmp_path / split / "labels" / "a.png", labels(0))
    save(tmp_path / "train/labels/a.png", labels(44).astype(np.uint16))  # with 255 in the last row
    for names, tags in ((range(255), (44,)), (range(256), (44, 255))):
        index = read_masks(tmp_path, {TRAIN: "train", EVALUATION: "val"}, tags_of, [str(name) for name in names])
        assert index.split(TRAIN)[0].tags == tags
        assert index.split(EVALUATION)[0].tags == ()


def test_a_missing_label_map_is_named(tmp_path):
    make_camvid(tmp_path)
    (tmp_path / "camvid/val/labels/a.png").unlink()
    with pytest.raises(DatasetError, match=r"val/labels/a.png: file is missing, but val/images/a.png needs it"):
        read("camvid", tmp_path)


def test_label_maps_are_decoded_once_until_they_change(tmp_path, monkeypatch):
    path, cache = tmp_path / "a.png", tmp_path / "tags.json"
    save(path, labels(8))
    first = RememberedTags(cache)
    assert first(LabelLayer(path)) == [8]
    first.save()
    with monkeypatch.context() as patch:
        patch.setattr("data.readers.label_maps.decode_labels", lambda *layer: pytest.fail("the file was decoded again"))
        assert RememberedTags(cache)(LabelLayer(path)) == [8]
    save(path, labels(3))
    os.utime(path, ns=(1, 1))
    assert RememberedTags(cache)(LabelLayer(path)) == [3]


def test_items_of_one_array_are_distinguished(tmp_path):
    masks = np.zeros((2, *(4, 4), 6), np.int32)
    masks[0, 0, 0, 1] = masks[1, 0, 0, 4] = 7
    np.save(tmp_path / "masks.npy", masks)
    remembered = RememberedTags(tmp_path / "tags.json")
    layers = [LabelLayer(tmp_path / "masks.npy" / str(index), None, "pannuke") for index in range(2)]
    assert [remembered(layer) for layer in layers] == [[2], [5]]
