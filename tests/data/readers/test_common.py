import pytest

from data.errors import DatasetError
from data.readers.common import required, sorted_index
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
