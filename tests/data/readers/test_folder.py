import numpy as np
import pytest
from PIL import Image

from data.errors import DatasetError
from data.files.labels import read_truth
from data.readers.folder import read_folder
from data.sample import EVALUATION, TRAIN


@pytest.fixture
def root(tmp_path):
    for folder in ("images", "masks", "depth"):
        (tmp_path / folder).mkdir()
    for index, tags in enumerate(("mug", "mug plate", "")):
        Image.fromarray(np.full((8, 10, 3), 40 * index, np.uint8)).save(tmp_path / f"images/{index}.jpg")
        Image.fromarray(np.full((8, 10), 900, np.uint16)).save(tmp_path / f"depth/{index}.png")
        Image.fromarray(np.full((8, 10), 1 if tags else 0, np.uint8)).save(tmp_path / f"masks/{index}.png")
    (tmp_path / "labels.csv").write_text("image,tags\n0.jpg,mug\n1.jpg,mug plate\n2.jpg,\n")
    return tmp_path


def test_index(root):
    index = read_folder(root)
    assert index.class_names == ("background", "mug", "plate")
    assert [sample.tags for sample in index.split(TRAIN)] == [(1,), (1, 2), ()]
    assert len(index.split(EVALUATION)) == 3  # no row is in the evaluation split: every image with a mask is in both
    assert index.has_depth
    assert (read_truth(index.samples[0], 2) == 1).all()


def test_given_splits_and_classes(root):
    (root / "labels.csv").write_text("image,tags,split\n0.jpg,mug,train\n1.jpg,plate mug,evaluation\n")
    (root / "classes.txt").write_text("background\nplate\nmug\n")
    index = read_folder(root)
    assert index.class_names == ("background", "plate", "mug")
    assert [(s.split, s.tags) for s in index.samples] == [(TRAIN, (2,)), (EVALUATION, (1, 2))]


def test_without_depth_and_masks(root):
    for folder in ("depth", "masks"):
        for path in (root / folder).iterdir():
            path.unlink()
        (root / folder).rmdir()
    index = read_folder(root)
    assert not index.has_depth
    assert index.split(EVALUATION) == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: (r / "labels.csv").unlink(), "labels.csv: file is missing"),
        (lambda r: (r / "labels.csv").write_text("file,tags\na,b\n"), "needs a header line"),
        (lambda r: (r / "images/1.jpg").unlink(), "1.jpg: image file is missing"),
        (lambda r: (r / "depth/1.png").unlink(), "1.png: depth file is missing"),
        (lambda r: (r / "classes.txt").write_text("mug\n"), "1.jpg has the unknown class 'plate'"),
        (lambda r: (r / "labels.csv").write_text("image,tags,split\n0.jpg,mug,test\n"), "has the split 'test'"),
        (lambda r: (r / "labels.csv").write_text("image,tags\n0.jpg,\n"), "no training image has a tag"),
        (lambda r: (r / "labels.csv").write_text("image,tags,split\n0.jpg,mug,evaluation\n"), "train split is empty"),
        (lambda r: (r / "labels.csv").write_text("image,tags\n0.jpg,mug\n0.jpg,mug\n"), "two images are called"),
    ],
)
def test_bad_input_is_named(root, change, message):
    change(root)
    with pytest.raises(DatasetError, match=message):
        read_folder(root)
