import logging
import zipfile
from pathlib import Path

import luigi.configuration
import pytest

from data.errors import DatasetError, SettingError
from data.files.transfer import Download, Offer
from data.readers.places import VARIABLE
from pipeline import GenerateSeeds
from tasks import fetch_dataset
from tasks.fetch_dataset import FetchDataset
from tasks.runtime import data_place
from tasks.runtime.data_place import OPTION, SECTION, data_places, data_root_of


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    data_place._tell.cache_clear()


@pytest.fixture
def published(tmp_path_factory, monkeypatch) -> list[str]:
    """HOPE as one small archive at a file address. Returns the names of the archives that were asked for."""
    path = tmp_path_factory.mktemp("server") / "hope_base.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("onboarding_static/a.txt", "a")
    asked = []

    def ask(download):
        asked.append(download.name)
        return Offer(path.stat().st_size, "")

    monkeypatch.setattr(fetch_dataset, "ask", ask)
    downloads = {**fetch_dataset.DOWNLOADS, "hope": (Download(path.as_uri(), folder="hope"),)}
    monkeypatch.setattr(fetch_dataset, "DOWNLOADS", downloads)
    return asked


def test_a_given_folder_is_left_as_it_is(published):
    assert data_root_of("hope", "/nowhere") == "/nowhere"
    assert data_root_of("nonsense", "") == ""
    assert data_root_of("demo", "", fetch=True) == ""
    assert not published


def test_a_set_is_found_in_the_environment_in_luigi_cfg_and_below_the_working_directory(tmp_path, monkeypatch):
    config = luigi.configuration.get_config()
    config.set(SECTION, OPTION, str(tmp_path / "b"))
    try:
        assert data_places() == [tmp_path / "b", Path("datasets")]
        assert data_root_of("hope", "") == ""
        Path("datasets/hope").mkdir(parents=True)
        assert data_root_of("hope", "") == "datasets"
        (tmp_path / "b/hope").mkdir(parents=True)
        assert data_root_of("hope", "") == str(tmp_path / "b")
        monkeypatch.setenv(VARIABLE, str(tmp_path / "a"))
        (tmp_path / "a/hope/hope").mkdir(parents=True)
        assert data_root_of("hope", "") == str(tmp_path / "a/hope")
    finally:
        config.remove_section(SECTION)


def test_every_stage_of_a_run_gets_the_folder_that_was_found(log_lines):
    Path("datasets/hope").mkdir(parents=True)
    seeds = GenerateSeeds(dataset="hope")
    assert seeds.data_root == "datasets"
    assert seeds.upstream(GenerateSeeds).data_root == "datasets"
    assert log_lines == ["data set hope: datasets/hope"]


def test_a_missing_set_is_fetched_once_into_the_first_place(tmp_path, monkeypatch, published):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "sets"))
    seeds = GenerateSeeds(dataset="hope", fetch=True)
    assert (seeds.data_root, seeds.fetch) == (str(tmp_path / "sets"), False)
    assert (tmp_path / "sets/hope/onboarding_static/a.txt").read_text() == "a"
    assert data_root_of("hope", "", fetch=True) == str(tmp_path / "sets")
    assert len(published) == 1


def test_a_missing_set_is_fetched_into_the_folder_that_is_given(tmp_path, published):
    assert data_root_of("hope", str(tmp_path / "here"), fetch=True) == str(tmp_path / "here")
    assert (tmp_path / "here/hope/onboarding_static/a.txt").exists()


def test_an_interrupted_download_is_not_read_but_continued(tmp_path, published):
    place = tmp_path / "datasets"
    (place / "hope").mkdir(parents=True)
    (place / ".downloads").mkdir()
    (place / ".downloads/hope_base.zip.partial").write_bytes(b"PK")
    assert FetchDataset(dataset="hope", data_root="datasets").is_interrupted
    for root in ("", "datasets"):
        with pytest.raises(DatasetError, match="^datasets: the download of hope has not ended; .*--fetch true"):
            data_root_of("hope", root)
    (place / ".downloads/hope_base.zip.partial").unlink()  # a server that cannot continue starts again
    (place / ".downloads/hope_base.zip").write_bytes(Path(published_path()).read_bytes())
    assert data_root_of("hope", "", fetch=True) == "datasets"
    assert (place / "hope/onboarding_static/a.txt").exists()
    assert data_root_of("hope", "") == "datasets"


def published_path() -> str:
    return fetch_dataset.DOWNLOADS["hope"][0].url.removeprefix("file://")


def test_a_set_that_was_fetched_and_is_gone_is_told(tmp_path, published):
    data_root_of("hope", "", fetch=True)
    (tmp_path / "datasets/hope").rename(tmp_path / "moved")
    with pytest.raises(DatasetError, match="datasets/.fetched-hope.json says that hope was fetched, but"):
        data_root_of("hope", "", fetch=True)


def test_what_cannot_be_fetched_is_told():
    with pytest.raises(SettingError, match="'cityscapes' cannot be fetched"):
        data_root_of("cityscapes", "", fetch=True)
    assert logging.getLogger("depthseed")
