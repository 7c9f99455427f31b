import pytest

from data.errors import DatasetError
from data.files.json_file import is_number, is_whole, read_json


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


@pytest.mark.parametrize("content", ["[]", "3", "null", '"text"'])
def test_content_that_is_no_object_is_named(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DatasetError, match="a.json: must hold an object"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a": ' + "1" * 5000 + "}"], ids=["nested", "long"])
def test_content_that_python_cannot_parse_is_named(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DatasetError, match="a.json: is not valid JSON"):
        read_json(tmp_path / "a.json")


def test_byte_order_marks_are_accepted(tmp_path):
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "a.json").write_text('{"a": "é"}', encoding=encoding)
        assert read_json(tmp_path / "a.json") == {"a": "é"}


@pytest.mark.parametrize("value", [-1, 1.0, True, None, "1", 10**18])
def test_what_is_no_whole_number(value):
    assert not is_whole(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, True, None, "1", []])
def test_what_is_no_number(value):
    assert not is_number(value)
