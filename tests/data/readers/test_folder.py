import os

import numpy as np
import pytest
from faults.mutations import mutated_bytes
from faults.outcomes import refusal
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
    (tmp_path / "labels.csv").write_text("image,tags\n0.jpg,mug\n1.jpg,mug plate\n2.jpg,-\n")
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
    index.require_training()


def test_some_images_may_have_no_depth(root):
    (root / "depth/1.png").unlink()
    index = read_folder(root)
    assert not index.has_depth
    assert [sample.depth is None for sample in index.split(TRAIN)] == [False, True, False]


def test_evaluation_images_alone_are_a_set(root):
    (root / "labels.csv").write_text("image,tags,split\n0.jpg,mug,evaluation\n")
    index = read_folder(root)
    assert [sample.image_id for sample in index.samples] == ["evaluation/0"]
    with pytest.raises(DatasetError, match="the train split is empty"):
        index.require_training()


def test_an_evaluation_image_needs_no_tags(root):
    (root / "labels.csv").write_text("image,tags,split\n0.jpg,mug,train\n1.jpg,,evaluation\n2.jpg,-,evaluation\n")
    assert [sample.tags for sample in read_folder(root).split(EVALUATION)] == [(), ()]


def test_images_without_tags_are_background(root):
    (root / "labels.csv").write_text("image,tags\n0.jpg,-\n2.jpg, - \n")
    index = read_folder(root)
    assert index.class_names == ("background",)
    with pytest.raises(DatasetError, match="no training image has a tag"):
        index.require_training()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_tables_of_spreadsheets_are_read(root, encoding, line_end):
    (root / "labels.csv").write_bytes(line_end.join(["image,tags", "0.jpg,Löffel", ""]).encode(encoding))
    (root / "classes.txt").write_bytes(line_end.join(["background", "Löffel", ""]).encode(encoding))
    assert read_folder(root).class_names == ("background", "Löffel")


def test_a_name_may_lead_into_a_folder_below_the_images(root):
    (root / "images/more").mkdir()
    (root / "images/0.jpg").rename(root / "images/more/0.jpg")
    (root / "labels.csv").write_text("image,tags\nmore/0.jpg,mug\n")
    assert read_folder(root).samples[0].image == root / "images/more/0.jpg"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: (r / "labels.csv").unlink(), "labels.csv: file is missing"),
        (lambda r: (r / "labels.csv").write_text("file,tags\na,b\n"), "needs a header line"),
        (lambda r: (r / "images/1.jpg").unlink(), "1.jpg: image file is missing"),
        (lambda r: (r / "classes.txt").write_text("mug\n"), "1.jpg has the unknown class 'plate'"),
        (lambda r: (r / "labels.csv").write_text("image,tags,split\n0.jpg,mug,test\n"), "has the split 'test'"),
        (lambda r: (r / "labels.csv").write_text("image,tags\n0.jpg,mug\n0.jpg,mug\n"), "two images are called"),
    ],
)
def test_bad_input_is_named(root, change, message):
    change(root)
    with pytest.raises(DatasetError, match=message):
        read_folder(root)


def table(content):
    return lambda r: (r / "labels.csv").write_bytes(content if isinstance(content, bytes) else content.encode())


def classes(content):
    return lambda r: (r / "classes.txt").write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (table(""), "labels.csv: needs a header line with the columns image,tags"),
        (table("image,tags\n"), "labels.csv: lists no image"),
        (table("image;tags\n0.jpg;mug\n"), "labels.csv: needs a header line with the columns image,tags"),
        (table("image,tags,tags\n0.jpg,mug,mug\n"), "labels.csv: needs a header line"),
        (table("image,tags\n0.jpg,mug\n1.jpg\n"), "labels.csv: line 3 has fewer values than the header image,tags"),
        (table("image,tags\n0.jpg,mug,plate\n"), "labels.csv: line 2 has more values than the header image,tags"),
        (table('image,tags\n0.jpg,"mug\n'), "labels.csv: is malformed from line 2 on .*; correct its quotes"),
        (table('image,tags\n0.jpg,"mug"x\n'), "labels.csv: is malformed from line 2 on"),
        (table("image,tags\n0.jpg," + "m" * 200_000 + "\n"), "labels.csv: is malformed from line 2 on"),
        (table("image,tags\n0.jpg,mu\0g\n"), "labels.csv: has a NUL byte in line 2"),
        (table("image,tags\n0.jpg,Löffel\n".encode("latin-1")), "labels.csv: is not UTF-8 text"),
        (table("image,tags\n../images/0.jpg,mug\n"), "labels.csv: the image '../images/0.jpg' is not below"),
        (table("image,tags\n/etc/hostname,mug\n"), "labels.csv: the image '/etc/hostname' is not below"),
        (table("image,tags\n,mug\n"), "labels.csv: the image '' is not below"),
        (table('image,tags\n0.jpg,"mug,plate"\n'), "labels.csv: line 2 has a ',' in its tags 'mug,plate'; separate"),
        (table("image,tags\n0.jpg,mug;plate\n"), "labels.csv: line 2 has a ';' in its tags 'mug;plate'; separate"),
        (table("image,tags\n0.jpg,mug background\n"), "labels.csv: line 2 has the tag 'background', which is class 0"),
        (
            table("image,tags\n0.jpg,mug\n1.jpg,\n"),
            "labels.csv: line 3 has no tags; write '-' as tags",
        ),
        (table('image,tags\n0.jpg,mug\n1.jpg,"  "\n'), "labels.csv: line 3 has no tags"),
        (table("image,tags\n0.jpg,mug -\n"), "labels.csv: '-' stands for an image without a class"),
        (classes("mug\n-\n"), "classes.txt: '-' stands for an image without a class"),
        (table("image,tags\n0.jpg,mug|plate\n"), r"labels.csv: the class name 'mug\|plate' has a space or '|' in it"),
        (classes("mug\nbackground\nplate\n"), "classes.txt: 'background' is class 0; write it in the first line"),
        (classes("background\nmug\nbackground\nplate\n"), "classes.txt: 'background' is class 0"),
        (classes("mug\nplate\nmug\n"), "classes.txt: lists the class 'mug' 2 times"),
        (classes("mug\nlarge plate\n"), "classes.txt: the class name 'large plate' has a space"),
        (classes("mug\nplate|dish\n"), "classes.txt: the class name 'plate|dish' has a space or '|' in it"),
        (classes("mug\nLöffel\n".encode("latin-1")), "classes.txt: is not UTF-8 text"),
        (lambda r: (r / "classes.txt").mkdir(), "classes.txt: cannot be read .it is a folder"),
    ],
)
def test_malformed_text_files_are_named(root, change, message):
    change(root)
    with pytest.raises(DatasetError, match=message):
        read_folder(root)


def test_a_pipe_in_the_place_of_a_file_is_refused_at_once(root):
    (root / "labels.csv").unlink()
    os.mkfifo(root / "labels.csv")
    with pytest.raises(DatasetError, match="labels.csv: cannot be read .it is a named pipe"):
        read_folder(root)


def test_a_pipe_among_the_images_does_not_hang(root):
    os.mkfifo(root / "images/3.jpg")
    assert len(read_folder(root).split(TRAIN)) == 3


def test_damaged_text_files_give_an_index_or_one_line(root):
    rng, lines = np.random.default_rng(0), []
    (root / "classes.txt").write_text("background\nmug\nplate\n")
    for path in (root / "labels.csv", root / "classes.txt"):
        content = path.read_bytes()
        for _ in range(100):
            path.write_bytes(mutated_bytes(content, rng))
            lines.append(refusal(read_folder, root))
        path.write_bytes(content)
    refused = list(filter(None, lines))
    assert all(line.startswith(str(root)) for line in refused)
    assert len(refused) > 100
