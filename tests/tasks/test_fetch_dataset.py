import hashlib
import zipfile

import pytest

from data.errors import DatasetError, SettingError
from data.files.transfer import Download, Offer
from tasks import fetch_dataset
from tasks.fetch_dataset import FetchDataset


@pytest.fixture
def published(tmp_path, monkeypatch) -> Download:
    """An archive at a file address; the connection itself is tested in tests/data/files/test_transfer.py."""
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as packed:
        packed.writestr("train2014/a.txt", "a")
        packed.writestr("train2014/b.txt", "b" * 1000)
    entry = Download((tmp_path / "set.zip").as_uri(), folder="coco")
    monkeypatch.setitem(fetch_dataset.DOWNLOADS, "coco", (entry,))
    monkeypatch.setattr(fetch_dataset, "ask", lambda _: Offer((tmp_path / "set.zip").stat().st_size, ""))
    return entry


def test_archives_are_fetched_unpacked_and_remembered(tmp_path, monkeypatch, published):
    checksum = hashlib.md5((tmp_path / "set.zip").read_bytes()).hexdigest()
    monkeypatch.setitem(fetch_dataset.DOWNLOADS, "coco", (Download(published.url, checksum, "coco"),))
    task = FetchDataset(dataset="coco", data_root=str(tmp_path / "data"))
    assert not task.complete()
    task.run()
    assert task.complete()
    assert (tmp_path / "data/coco/train2014/a.txt").read_text() == "a"


def test_a_second_run_that_waited_does_nothing(tmp_path, monkeypatch, published):
    task = FetchDataset(dataset="coco", data_root=str(tmp_path / "data"))
    task.run()
    monkeypatch.setattr(fetch_dataset, "ask", lambda _: pytest.fail("asked again"))
    task.run()


def test_a_damaged_archive_leaves_no_file_and_no_marker(tmp_path, published):
    path = tmp_path / "set.zip"
    path.write_bytes(path.read_bytes().replace(b"bbbb", b"bbbc"))
    task = FetchDataset(dataset="coco", data_root=str(tmp_path / "data"))
    with pytest.raises(DatasetError, match=r"set.zip: cannot be unpacked .*Bad CRC-32"):
        task.run()
    assert not task.complete()
    assert not [path for path in (tmp_path / "data/coco").rglob("*") if path.is_file()]


def test_bytes_of_an_earlier_run_do_not_count_in_the_speed(tmp_path, monkeypatch, log_lines):
    """1 of 3 MB was there. The second took 40 seconds, so the third takes 40 seconds, too."""
    clock = iter([0.0, 40.0])
    monkeypatch.setattr("tasks.runtime.progress.time.monotonic", lambda: next(clock))

    def fetch(download, target, offer, begin):
        begin(1_000_000, 3_000_000)(1_000_000)

    monkeypatch.setattr(fetch_dataset, "fetch", fetch)
    fetch_dataset._fetch_one(Download("https://a.org/set.zip"), Offer(3_000_000, ""), tmp_path / "set.zip")
    assert log_lines == ["set.zip: 2000000 of 3000000 bytes, 2.5e+04 bytes/s, 40 s left"]


def test_a_set_behind_a_login_is_named(tmp_path):
    with pytest.raises(SettingError, match="'cityscapes' cannot be fetched; voc, coco"):
        FetchDataset(dataset="cityscapes", data_root=str(tmp_path)).run()
