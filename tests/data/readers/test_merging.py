import numpy as np
import pytest
from PIL import Image

from data.errors import DatasetError, ImageError
from data.files.labels import read_truth
from data.readers.folder import read_folder
from data.readers.merging import read_merging
from data.sample import UNLABELLED

NAMES = ("background", "cup_red", "plate", "cup_blue")


def test_a_class_that_is_not_listed_stays_a_category(tmp_path):
    table = tmp_path / "merge.csv"
    table.write_text("class,category\ncup_red,cup\ncup_blue,cup\n")
    found = read_merging(table, NAMES)
    assert found.names == ("background", "cup", "plate")
    assert found.numbers == (0, 1, 2, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "file is missing"),
        ("", "needs the header line class,category"),
        ("name,category\n", "needs the header line"),
        ("class,category\nmug,cup\n", "'mug,cup' is no class of the set with a category"),
        ("class,category\nbackground,cup\n", "'background,cup' is no class"),
        ("class,category\nplate,background\n", "'plate,background' is no class"),
        ("class,category\nplate\n", "'plate' is not a class and a category"),
        ("class,category\nplate,\n", "'plate,' is not a class and a category"),
        ("class,category\nplate,a\nplate,b\n", "lists the class 'plate' twice"),
        ("class,category\nplate,flat thing\n", "'plate,flat thing' is not a class"),
        ('class,category\n"plate,a\n', "is malformed"),
    ],
)
def test_bad_tables_are_named(tmp_path, content, message):
    table = tmp_path / "merge.csv"
    if content is not None:
        table.write_text(content)
    with pytest.raises(DatasetError, match=f"merge.csv: {message}"):
        read_merging(table, NAMES)


@pytest.fixture
def root(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(tmp_path / "images/a.png")
    Image.fromarray(np.array([[0, 1, 2], [3, 255, 3]], np.uint8)).save(tmp_path / "masks/a.png")
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    (tmp_path / "labels.csv").write_text("image,tags,split\na.png,cup_red plate cup_blue,train\n")
    (tmp_path / "merge.csv").write_text("class,category\ncup_red,cup\ncup_blue,cup\n")
    return tmp_path


def test_a_folder_is_read_with_its_categories(root):
    index = read_folder(root, merge=root / "merge.csv")
    assert index.class_names == ("background", "cup", "plate")
    sample = index.samples[0]
    assert sample.tags == (1, 2)
    assert read_truth(sample, 2).tolist() == [[0, 1, 2], [1, UNLABELLED, 1]]


def test_a_label_map_may_have_no_class_beyond_those_of_the_set(root):
    Image.fromarray(np.array([[0, 1, 2], [3, 4, 3]], np.uint8)).save(root / "masks/a.png")
    sample = read_folder(root, merge=root / "merge.csv").samples[0]
    with pytest.raises(ImageError, match="class number 4 is unknown; use 0..3"):
        read_truth(sample, 2)


def test_polygons_have_names_that_are_not_merged(root):
    (root / "coarse").mkdir()
    (root / "coarse/a.json").write_text("{}")
    with pytest.raises(DatasetError, match="polygons cannot be merged"):
        read_folder(root, merge=root / "merge.csv")
