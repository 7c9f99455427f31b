import hashlib
import zipfile

import pytest

from data.errors import SettingError
from data.readers import downloads
from data.readers.downloads import Download
from tasks import fetch_dataset
from tasks.fetch_dataset import FetchDataset


def test_archives_are_fetched_unpacked_and_remembered(tmp_path, monkeypatch):
    """From file addresses; the connection itself is tested in tests/data/test_downloads.py."""
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as packed:
        packed.writestr("train2014/a.txt", "a")
    checksum = hashlib.md5((tmp_path / "set.zip").read_bytes()).hexdigest()
    entry = Download((tmp_path / "set.zip").as_uri(), checksum, "coco")
    monkeypatch.setitem(fetch_dataset.DOWNLOADS, "coco", (entry,))
    monkeypatch.setattr(fetch_dataset, "ask", lambda _: downloads.Offer((tmp_path / "set.zip").stat().st_size, ""))
    task = FetchDataset(dataset="coco", data_root=str(tmp_path / "data"))
    assert not task.complete()
    task.run()
    assert task.complete()
    assert (tmp_path / "data/coco/train2014/a.txt").read_text() == "a"


def test_a_set_behind_a_login_is_named(tmp_path):
    with pytest.raises(SettingError, match="'cityscapes' cannot be fetched; voc, coco"):
        FetchDataset(dataset="cityscapes", data_root=str(tmp_path)).run()
