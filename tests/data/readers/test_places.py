from pathlib import Path

import pytest

from data.readers import DATASETS
from data.readers.downloads import DOWNLOADS, ELSEWHERE, TERMS
from data.readers.places import USUAL, VARIABLE, candidates, find_root, missing_line, places


@pytest.fixture(autouse=True)
def nothing_set(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)


def test_what_the_user_has_set_comes_first(monkeypatch):
    assert places() == [Path("datasets")]
    monkeypatch.setenv(VARIABLE, "/data")
    assert places("~/sets") == [Path("/data"), Path.home() / "sets", Path("datasets")]
    monkeypatch.setenv(VARIABLE, "")
    assert places() == [USUAL]


@pytest.mark.parametrize("name", DATASETS)
def test_each_set_is_found_in_a_folder_of_its_name_and_beside_the_others(name, tmp_path):
    below = DATASETS[name].folder
    assert find_root(name, [USUAL]) is None
    if below:
        (USUAL / below).mkdir(parents=True)
        assert find_root(name, [USUAL]) == USUAL
    (USUAL / name / below).mkdir(parents=True, exist_ok=True)
    assert find_root(name, [USUAL]) == USUAL / name
    assert find_root(name, [tmp_path / "nowhere"]) is None
    assert find_root(name, [tmp_path / "nowhere", USUAL]) == USUAL / name


def test_the_first_place_that_has_it_wins(tmp_path):
    for place in ("a", "b"):
        (tmp_path / place / "hope").mkdir(parents=True)
    assert find_root("hope", [tmp_path / "b", tmp_path / "a"]) == tmp_path / "b"


def test_a_folder_of_many_sets_is_not_taken_for_a_set_without_a_folder_of_its_own():
    USUAL.mkdir()
    assert find_root("folder", [USUAL]) is None
    assert find_root("bop", [USUAL]) is None


@pytest.mark.parametrize("name", DATASETS)
def test_the_line_names_every_folder_that_was_looked_for(name, monkeypatch):
    line = missing_line(name, [Path("/data"), USUAL])
    assert all(str(folder) in line for folder in candidates(name, [Path("/data"), USUAL]))
    assert f"${VARIABLE} is not set" in line
    assert "--data-root" in line
    assert "\n" not in line
    monkeypatch.setenv(VARIABLE, "/data")
    assert VARIABLE not in missing_line(name, [Path("/data"), USUAL])


def test_the_line_says_how_to_get_the_set():
    assert "--fetch true to download it into datasets (about 3 GB; licence: CC BY-NC-SA 4.0)" in missing_line(
        "hope", [USUAL]
    )
    assert "into /data (its size is told before it begins; licence: " in missing_line("tless", [Path("/data"), USUAL])
    assert "by hand: https://www.cityscapes-dataset.com" in missing_line("cityscapes", [USUAL])
    assert "docs/datasets.md" in missing_line("folder", [USUAL])


def test_every_set_that_can_be_fetched_has_its_licence():
    assert TERMS.keys() == DOWNLOADS.keys()
    assert all(terms.licence for terms in TERMS.values())
    assert ELSEWHERE.keys() <= DATASETS.keys() - DOWNLOADS.keys()
