import os
import socket

import pytest

from data.errors import DatasetError
from data.files.regular_file import check_regular, read_bytes


def test_a_file_and_a_link_to_it_are_read(tmp_path):
    (tmp_path / "a").write_bytes(b"\0one")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert read_bytes(tmp_path / "a") == read_bytes(tmp_path / "b") == b"\0one"


def test_what_is_no_regular_file_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    os.mkfifo("pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        names = {
            "pipe": "a named pipe", "link": "a named pipe", "folder": "a folder", "socket": "a socket",
            "/dev/null": "a device",
        }  # fmt: skip
        for name, kind in names.items():
            with pytest.raises(OSError, match=f"it is {kind}, not a regular file"):
                check_regular(tmp_path / name)
            with pytest.raises(DatasetError, match=f"{name}: cannot be read .it is {kind}"):
                read_bytes(tmp_path / name)


@pytest.mark.parametrize("name", ["gone", "a/b"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(DatasetError, match=f"{name}: file is missing; .*--data-root"):
        read_bytes(tmp_path / name)


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 300, "loop"])
def test_a_name_that_no_file_can_have_is_one_line(tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DatasetError, match="(is no name of a file|cannot be read)"):
        read_bytes(tmp_path / name)
