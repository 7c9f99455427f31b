import numpy as np
import pytest
from PIL import Image

from data.readers import DATASETS
from data.readers.folder import read_folder


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(root / name, format="PNG")


def notes(root):
    return DATASETS["folder"].notes(root, read_folder(root))


@pytest.fixture
def root(tmp_path):
    put(tmp_path, "images/a.jpg", "images/more/b.jpg", "images/untagged.jpg")
    (tmp_path / "labels.csv").write_text("image,tags\na.jpg,cup\nmore/b.jpg,cup\n")
    return tmp_path


def test_files_that_are_read_give_no_line(root):
    put(root, "depth/a.PNG", "depth/more/b.tif", "masks/a.png", "masks/b.Png")
    put(root, "depth/untagged.png", "masks/untagged.png", "depth/.DS_Store", "masks/Thumbs.db")
    assert notes(root) == []


def test_files_of_no_image_and_of_another_ending_are_named(root):
    put(root, "depth/a.png", "depth/a.tif", "depth/c.png", "masks/a.bmp", *(f"masks/x{n}.png" for n in range(3)))
    assert notes(root) == [
        "2 files in depth/ are not read: depth/a.tif, depth/c.png; an image has a PNG or TIFF file of its own name in "
        "there",
        "4 files in masks/ are not read: masks/a.bmp, masks/x0.png, masks/x1.png, ...; an image has a PNG file of its "
        "own name in there",
    ]


def test_a_split_that_stays_unseen_has_its_files(tmp_path):
    put(tmp_path, *(f"{split}/cup/1.jpg" for split in ("train", "valid", "test")), "depth/test/cup/1.png")
    assert notes(tmp_path) == []
    put(tmp_path, "depth/test/cup/2.png")
    assert len(notes(tmp_path)) == 1
