import os

import pytest

from data.errors import DatasetError
from data.files.facts import FileFacts


def test_a_known_file_is_not_read_again_until_it_changes(tmp_path):
    path, cache = tmp_path / "a", tmp_path / "cache" / "facts.json"
    path.write_text("one")
    first = FileFacts(cache)
    assert first.fact(path, "key", path.read_text) == "one"
    first.save()
    assert FileFacts(cache).fact(path, "key", lambda: "read again") == "one"
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert FileFacts(cache).fact(path, "key", path.read_text) == "two"


def test_a_damaged_or_unwritable_cache_only_costs_time(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    cache = tmp_path / "facts.json"
    cache.write_text("{ cut")
    assert FileFacts(cache).fact(path, "key", path.read_text) == "one"
    facts = FileFacts(path / "below a file" / "facts.json")
    facts.fact(path, "key", path.read_text)
    facts.save()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match="gone: file is missing"):
        FileFacts(tmp_path / "cache").fact(tmp_path / "gone", "key", lambda: "")
