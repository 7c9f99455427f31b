from pathlib import Path

import numpy as np
import pytest
from bags import depth_of, frame

from data.errors import DatasetError
from data.recordings.project_folder import ProjectFolder


@pytest.fixture(autouse=True)
def _no_sync(monkeypatch):
    monkeypatch.setattr("os.sync", lambda: None)  # it waits for the whole machine


def imported(root, name, numbers, tags="mug", made=None):
    folder = ProjectFolder(root, name)
    folder.begin()
    for number in numbers:
        folder.add(number, frame(number), None, depth_of(number))
    folder.finish(made or {}, Path("a.bag"), tags, "train", None)
    return folder


def test_a_name_that_begins_like_another_is_another_recording(tmp_path):
    imported(tmp_path, "a", [0, 1])
    imported(tmp_path, "a@1", [5])
    assert imported(tmp_path, "a", [2]).has({})
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["a@000002.png", "a@1@000005.png"]
    assert (
        tmp_path / "labels.csv"
    ).read_text() == "image,tags,split\na@1@000005.png,mug,train\na@000002.png,mug,train\n"


def test_a_frame_that_is_gone_or_another_setting_makes_it_incomplete(tmp_path):
    folder = imported(tmp_path, "a", [0, 1], made={"every": 1})
    assert folder.has({"every": 1})
    assert not folder.has({"every": 2})
    (tmp_path / "depth/a@000001.png").unlink()
    assert not folder.has({"every": 1})


def test_what_is_known_of_an_import(tmp_path):
    assert ProjectFolder(tmp_path, "a").known() == {}
    known = imported(tmp_path, "a", [0], made={"every": 1}).known()
    assert (known["made"], known["place"]) == ({"every": 1}, "a.bag")
    (tmp_path / ".imported/a.json").write_text("[1")
    assert ProjectFolder(tmp_path, "a").known() == {}
    (tmp_path / ".imported/a.json").write_text("[1]")
    assert ProjectFolder(tmp_path, "a").known() == {}


def test_other_columns_stay(tmp_path):
    (tmp_path / "labels.csv").write_text("image,tags,who\nb.png,cup,me\n")
    imported(tmp_path, "a", [0])
    assert (
        tmp_path / "labels.csv"
    ).read_text() == "image,tags,split,who\nb.png,cup,train,me\na@000000.png,mug,train,\n"


@pytest.mark.parametrize("text", ["image;tags\na;b\n", "image,tags\na\n", "image,tags\na,b,c\n", 'image,tags\n"a\n'])
def test_a_table_that_cannot_be_kept_is_not_overwritten(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DatasetError, match="labels.csv: is "):
        imported(tmp_path, "a", [0])
    assert (tmp_path / "labels.csv").read_text() == text
    assert not (tmp_path / "images").exists()


def test_values_survive(tmp_path):
    from data.files.pixels import GREY_16, read_values

    imported(tmp_path, "a", [3])
    assert np.array_equal(read_values(tmp_path / "depth/a@000003.png", GREY_16, ""), depth_of(3))
