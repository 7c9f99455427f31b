import os

import pytest

from data.errors import DatasetError
from data.readers.common import Listing, is_inside, required, sorted_index
from data.sample import EVALUATION, TRAIN, Sample


def test_a_required_file_is_returned_or_named(tmp_path):
    (tmp_path / "a.png").touch()
    assert required(tmp_path / "a.png", "a.jpg") == tmp_path / "a.png"
    with pytest.raises(DatasetError, match="b.png: file is missing, but b.jpg needs it"):
        required(tmp_path / "b.png", "b.jpg")


def test_samples_are_sorted_train_first_then_by_image_id(tmp_path):
    found = [("b", EVALUATION), ("d", TRAIN), ("a", EVALUATION), ("c", TRAIN)]
    samples = [Sample(name, split, tmp_path / f"{name}.jpg", (1,)) for name, split in found]
    index = sorted_index(tmp_path, ["background", "mug"], samples)
    assert [sample.image_id for sample in index.samples] == ["c", "d", "a", "b"]
    assert index.class_names == ("background", "mug")


def test_a_split_that_was_asked_for_must_have_images(tmp_path):
    sample = Sample("a", TRAIN, tmp_path / "a.jpg", (1,))
    assert sorted_index(tmp_path, ["background", "mug"], [sample], {TRAIN: "train"})
    with pytest.raises(DatasetError, match=r"the evaluation split \(val\) has no images; .*--data-root"):
        sorted_index(tmp_path, ["background", "mug"], [sample], {TRAIN: "train", EVALUATION: "val"})


@pytest.mark.parametrize("name", ["..", "a/../../b", "/etc", "", "."])
def test_names_that_lead_out_of_a_folder(name):
    assert not is_inside(name)


def test_a_listing_knows_files_and_those_in_folders_below(tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more/a.png").touch()
    os.mkfifo(tmp_path / "pipe.png")
    found = Listing(tmp_path)
    assert "more/a.png" in found
    assert "pipe.png" in found
    assert "b.png" not in found
    assert "a.png" not in Listing(tmp_path / "gone")
    assert "a.png" not in Listing(tmp_path / "more/a.png")


def test_a_folder_that_cannot_be_listed_is_named(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DatasetError, match="loop: cannot be listed"):
        Listing(tmp_path / "loop")
