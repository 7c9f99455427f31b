import os

import numpy as np
import pytest
from PIL import Image

from data.errors import DatasetError
from data.files.instance_truth import instance_file
from data.readers.beside import Beside, shared_names
from data.readers.folder import read_folder
from data.readers.tag_rows import row_of

TABLE = "image,tags,split\ntrain/0001.jpg,cup,train\nval/0001.jpg,mug,evaluation\n"
SIDES = ("depth/{}.png", "masks/{}.png", "coarse/{}.png", "coarse/{}.json", "instances/{}.png")


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(root / name, format="PNG")


@pytest.fixture
def root(tmp_path):
    put(tmp_path, "images/train/0001.jpg", "images/val/0001.jpg")
    (tmp_path / "labels.csv").write_text(TABLE)
    return tmp_path


@pytest.mark.parametrize("side", SIDES)
def test_two_images_of_one_name_never_share_a_file(root, side):
    """Both once had the file of the last part of their names: foreign depth and foreign truth."""
    put(root, side.format("0001"))
    with pytest.raises(DatasetError) as caught:
        read_folder(root)
    line = str(caught.value)
    assert line.startswith(f"{root / side.format('0001')}: the images train/0001.jpg and val/0001.jpg would both have")
    assert f"{os.path.dirname(side)}/train/0001.png and {os.path.dirname(side)}/val/0001.png" in line


def test_the_path_of_the_image_comes_before_the_last_part_of_its_name(root):
    put(root, *(side.format(f"{split}/0001") for side in SIDES for split in ("train", "val")))
    put(root, *(side.format("0001") for side in SIDES))
    for sample, split in zip(read_folder(root).samples, ("train", "val"), strict=True):
        assert sample.depth == root / f"depth/{split}/0001.png"
        assert [layer.path for layer in sample.truth] == [root / f"masks/{split}/0001.png"]
        assert [layer.path for layer in sample.coarse] == [root / f"coarse/{split}/0001.png"]
        assert instance_file(sample) == root / f"instances/{split}/0001.png"


def test_one_image_alone_may_have_the_file_of_the_last_part_of_its_name(root):
    put(root, *(side.format("train/0001") for side in SIDES), *(side.format("0001") for side in SIDES))
    train, evaluation = read_folder(root).samples
    assert (train.depth, evaluation.depth) == (root / "depth/train/0001.png", root / "depth/0001.png")
    assert instance_file(evaluation) == root / "instances/0001.png"


def test_an_image_in_both_splits_has_its_file_in_both(tmp_path):
    put(tmp_path, "images/more/1.jpg", "depth/1.png")
    (tmp_path / "labels.csv").write_text("image,tags,split\nmore/1.jpg,cup,train\nmore/1.jpg,cup,evaluation\n")
    assert [sample.depth for sample in read_folder(tmp_path).samples] == [tmp_path / "depth/1.png"] * 2


def test_images_that_differ_in_their_ending_share_no_file(tmp_path):
    put(tmp_path, "images/1.jpg", "images/1.png", "depth/1.png")
    (tmp_path / "labels.csv").write_text("image,tags,split\n1.jpg,cup,train\n1.png,cup,evaluation\n")
    with pytest.raises(DatasetError, match=r"depth/1.png: the images 1.jpg and 1.png .*; rename one of the images"):
        read_folder(tmp_path)


def test_polygons_of_all_images_are_those_of_the_path_where_names_are_shared(root):
    (root / "coarse.json").write_text("{}")
    members = [sample.coarse[0].member.split("|")[0] for sample in read_folder(root).samples]
    assert members == ["train/0001.jpg", "val/0001.jpg"]
    (root / "labels.csv").write_text(TABLE.splitlines()[0] + "\ntrain/0001.jpg,cup,train\n")
    assert read_folder(root).samples[0].coarse[0].member.split("|")[0] == "0001.jpg"


def test_capital_endings_and_tiff(tmp_path):
    put(tmp_path, "depth/a.PNG", "depth/b.TIF", "depth/c.tiff", "depth/d.tif", "depth/d.png", "depth/more/e.Png")
    find = Beside(tmp_path / "depth", (".png", ".tif", ".tiff"))
    assert [find.named(name) for name in ("a", "b", "c", "d", "more/e", "f", "more/a", "none/a")] == [
        "depth/a.PNG", "depth/b.TIF", "depth/c.tiff", "depth/d.png", "depth/more/e.Png", "", "", "",
    ]  # fmt: skip


def test_a_folder_is_listed_once(tmp_path, monkeypatch):
    put(tmp_path, "depth/a.png", "depth/more/b.png")
    calls = []
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: calls.append(folder) or real(folder))
    find = Beside(tmp_path / "depth", (".png",))
    for name in ("a", "b", "more/a", "more/b") * 5:
        find.named(name)
    assert len(calls) == 2


def test_names_are_shared_by_different_images_of_different_splits_alone():
    rows = [row_of(image, "cup", split) for image, split in (("a.jpg", "train"), ("a.jpg", "evaluation"))]
    assert shared_names(rows) == frozenset()
    assert shared_names([*rows, row_of("b/c.jpg", "cup", "train"), row_of("d/./c.jpg", "cup", "evaluation")]) == {"c"}
