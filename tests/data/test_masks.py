import pytest
from reader_contract import check_layout, check_wrong_root, labels, picture, read, save

from data.errors import DatasetError


def make_camvid(root):
    for split in ("train", "val"):
        save(root / "camvid" / split / "images" / "a.png", picture())
        save(root / "camvid" / split / "labels" / "a.png", labels(8))


def test_the_official_layout_is_indexed(tmp_path):
    make_camvid(tmp_path)
    check_layout("camvid", tmp_path, (1, 1), 10, (8,), 8)


def test_a_wrong_root_is_named(tmp_path):
    check_wrong_root("camvid", tmp_path)


def test_a_missing_label_map_is_named(tmp_path):
    make_camvid(tmp_path)
    (tmp_path / "camvid/val/labels/a.png").unlink()
    with pytest.raises(DatasetError, match=r"val/labels/a.png: file is missing, though val/images/a.png needs it"):
        read("camvid", tmp_path)
