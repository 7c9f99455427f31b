import pytest

from data.errors import DatasetError
from data.files.text_file import read_text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_editors_and_spreadsheets_save_is_read(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes("Löffel\r\nTasse\n".encode(encoding))
    assert read_text(tmp_path / "a.txt") == "Löffel\r\nTasse\n"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "shift-jis"])
def test_other_encodings_are_refused_with_the_remedy(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes(("äöü" if encoding != "shift-jis" else "日本").encode(encoding))
    with pytest.raises(DatasetError, match=r"a.txt: is not UTF-8 text \(byte 0 is 0x..\); save the file as UTF-8"):
        read_text(tmp_path / "a.txt")


@pytest.mark.parametrize("content", [b"a\nb\0c", "a\nb".encode("utf-16-le"), "a\nb".encode("utf-32")])
def test_a_nul_byte_is_named(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DatasetError, match="a.txt: has a NUL byte in line [12]"):
        read_text(tmp_path / "a.txt")


def test_half_a_character_is_named(tmp_path):
    (tmp_path / "a.txt").write_bytes("é".encode("utf-16") + b"\x00")
    with pytest.raises(DatasetError, match="a.txt: is not UTF-8 text"):
        read_text(tmp_path / "a.txt")
