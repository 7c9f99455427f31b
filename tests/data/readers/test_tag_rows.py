import numpy as np
import pytest
from PIL import Image

from data.errors import DatasetError
from data.files.images import read_image
from data.readers.folder import read_folder
from data.sample import EVALUATION, TRAIN


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(path)
    return path


@pytest.mark.parametrize("base", ["images", "."])
def test_one_folder_for_each_class(tmp_path, base):
    for name in ("mug/0.jpg", "mug/1.PNG", "plate/0.jpg", "coffee pot/0.jpg", "background/9.png"):
        image(tmp_path / base / name)
    (tmp_path / base / "mug/note.txt").write_text("no image")
    for name in ("depth/mug/0.png", "masks/mug/0.png", "corrections/3.png", ".git/x/0.png"):
        image(tmp_path / name)
    index = read_folder(tmp_path)
    assert index.class_names == ("background", "coffee_pot", "mug", "plate")
    assert {sample.image_id: sample.tags for sample in index.split(TRAIN)} == {
        "train/mug/0": (2,),
        "train/mug/1": (2,),
        "train/plate/0": (3,),
        "train/coffee pot/0": (1,),
        "train/background/9": (),
    }
    assert [s.image_id for s in index.samples if s.depth] == ["evaluation/mug/0", "train/mug/0"][::-1]
    sample = next(sample for sample in index.samples if sample.image_id == "train/mug/0")
    assert sample.image == tmp_path / base / "mug/0.jpg"
    assert sample.depth == tmp_path / "depth/mug/0.png"
    assert sample.truth[0].path == tmp_path / "masks/mug/0.png"


@pytest.mark.parametrize(
    ("folders", "evaluation"), [(("val", "test"), "val"), (("test",), "test"), (("valid", "test"), "valid")]
)
def test_the_folders_train_and_val_are_the_splits(tmp_path, folders, evaluation):
    for folder in ("train", *folders):
        image(tmp_path / folder / "mug/0.jpg")
        image(tmp_path / "depth" / folder / "mug/0.png")
    index = read_folder(tmp_path)
    assert {s.image_id: s.image.relative_to(tmp_path).as_posix() for s in index.samples} == {
        "train/mug/0": "train/mug/0.jpg",
        "evaluation/mug/0": f"{evaluation}/mug/0.jpg",
    }
    assert index.split(EVALUATION)[0].depth == tmp_path / f"depth/{evaluation}/mug/0.png"


def test_folders_of_splits_in_images_are_no_classes(tmp_path):
    for name in ("train/1.jpg", "val/2.jpg"):
        image(tmp_path / "images" / name)
    with pytest.raises(
        DatasetError, match="images: its folders are named as splits, not as classes; write .*labels.csv"
    ):
        read_folder(tmp_path)
    image(tmp_path / "images" / "mug" / "1.jpg")  # then a train is a thing
    assert read_folder(tmp_path).class_names == ("background", "mug", "train", "val")


def test_images_of_every_format_are_read(tmp_path):
    names = ("0.webp", "1.ppm", "2.PGM", "3.jp2", "4.gif", "5.bmp", "6.tiff", "7.jpeg")
    for name in names:
        image(tmp_path / "train/mug" / name)
    index = read_folder(tmp_path)
    assert tuple(sample.image.name for sample in index.samples) == names
    assert all(read_image(sample.image).shape == (4, 5, 3) for sample in index.samples)


@pytest.mark.parametrize("base", ["images", "train", "."])
def test_images_below_the_folder_of_a_class_are_named(tmp_path, base):
    image(tmp_path / base / "cup/0.jpg")
    image(tmp_path / base / "mug/.thumbnails/0.jpg")
    (tmp_path / base / "mug/notes").mkdir()
    assert [sample.image_id for sample in read_folder(tmp_path).samples] == ["train/cup/0"]
    image(tmp_path / base / "mug/red/0.webp")
    with pytest.raises(DatasetError, match="mug/red: has images, but lies in the folder of the class 'mug'; put them"):
        read_folder(tmp_path)


def test_a_table_has_precedence_and_nothing_at_all_is_told(tmp_path):
    image(tmp_path / "images/mug/0.jpg")
    (tmp_path / "labels.csv").write_text("image,tags\nmug/0.jpg,cup\n")
    assert read_folder(tmp_path).class_names == ("background", "cup")
    (tmp_path / "labels.csv").unlink()
    (tmp_path / "images/mug/0.jpg").unlink()
    with pytest.raises(DatasetError, match="labels.csv: file is missing; .* or one folder for each class"):
        read_folder(tmp_path)
