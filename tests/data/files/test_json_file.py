import pytest

from data.errors import DatasetError
from data.files.json_file import read_json


def test_content_is_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": [1]}')
    assert read_json(tmp_path / "a.json") == {"a": [1]}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match="gone.json: file is missing; .*--data-root"):
        read_json(tmp_path / "gone.json")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe"])
def test_a_file_that_is_not_json_is_named(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DatasetError, match="a.json: is not valid JSON"):
        read_json(tmp_path / "a.json")
