import pytest

from data.errors import DatasetError
from data.readers.corrections import correction_file, list_corrections


def write(root, *names):
    for name in names:
        path = root / "corrections" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_a_correction_has_the_name_of_its_image(tmp_path):
    assert list_corrections(tmp_path, ["train/0"]) == {}
    write(tmp_path, "1.png", "train/2.png", "mug/3.png", "note.txt", "scene/000001.png")
    ids = ["train/0", "train/1", "train/2", "train/mug/3", "scene/000001"]
    folder = tmp_path / "corrections"
    assert list_corrections(tmp_path, ids) == {
        "train/1": folder / "1.png",
        "train/2": folder / "train/2.png",
        "train/mug/3": folder / "mug/3.png",
        "scene/000001": folder / "scene/000001.png",
    }
    assert correction_file(tmp_path, "train/0") is None


@pytest.mark.parametrize("name", ["5.png", "evaluation/1.png", "train/1.png"])
def test_a_correction_of_no_training_image_is_refused(tmp_path, name):
    write(tmp_path, "1.png", name)
    idle = "1.png" if name == "train/1.png" else name  # two for one image
    with pytest.raises(DatasetError, match=f"corrections/{idle}: belongs to no training image"):
        list_corrections(tmp_path, ["train/1"])
