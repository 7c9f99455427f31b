import zipfile

import pytest

from data.errors import StoreError
from data.store.archive import write_zip

FILES = [("a/b.txt", b"one"), ("c.png", bytes(range(256)))]


def test_an_archive_is_read_back_and_has_always_the_same_bytes(tmp_path):
    write_zip(tmp_path / "x" / "a.zip", FILES)
    with zipfile.ZipFile(tmp_path / "x" / "a.zip") as archive:
        assert archive.testzip() is None
        assert [(name, archive.read(name)) for name in archive.namelist()] == FILES
    write_zip(tmp_path / "b.zip", iter(FILES))
    assert (tmp_path / "b.zip").read_bytes() == (tmp_path / "x" / "a.zip").read_bytes()


def test_what_was_written_before_a_failure_has_not_the_name_of_the_archive(tmp_path):
    def failing():
        yield FILES[0]
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_zip(tmp_path / "a.zip", failing())
    assert not (tmp_path / "a.zip").exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write_zip(tmp_path / "file" / "a.zip", FILES)
