import pytest

from data.errors import DatasetError
from data.readers.cutouts import list_cutouts


@pytest.fixture
def root(tmp_path):
    for name in ("mug/2.png", "mug/1.png", "plate_wide/a.jpg"):
        path = tmp_path / "crops" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "crops/readme.txt").write_text("not a class")
    return tmp_path


def test_photographs_have_the_class_of_their_folder(root):
    found = list_cutouts(root, {"mug": 1, "plate": 2, "plate_wide": 2})
    assert [(cutout.path.relative_to(root / "crops").as_posix(), cutout.class_number) for cutout in found] == [
        ("mug/1.png", 1), ("mug/2.png", 1), ("plate_wide/a.jpg", 2),
    ]  # fmt: skip


def test_what_is_no_photograph_is_left_out(root):
    for name in (".DS_Store", "Thumbs.db", "notes.txt", "3.PNG", "4.webp"):
        (root / "crops/mug" / name).write_bytes(b"")
    found = list_cutouts(root, {"mug": 1, "plate_wide": 2})
    assert [cutout.path.name for cutout in found] == ["1.png", "2.png", "3.PNG", "4.webp", "a.jpg"]


def test_a_folder_of_another_name_is_an_error(root):
    with pytest.raises(DatasetError, match="crops/plate_wide: 'plate_wide' is no class of the set"):
        list_cutouts(root, {"mug": 1, "plate": 2})


@pytest.mark.parametrize("folders", [[], ["crops"], ["crops/mug"]])
def test_no_photographs_are_an_error(tmp_path, folders):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(DatasetError, match="crops: has no photographs"):
        list_cutouts(tmp_path, {"mug": 1})
