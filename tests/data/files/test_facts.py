import os

import pytest

from data.errors import DatasetError
from data.files.facts import FileFacts, kept_while_unchanged


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


def test_a_file_of_the_same_size_and_time_is_another_file(tmp_path):
    path, cache = tmp_path / "a", tmp_path / "facts.json"
    path.write_text("one")
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    facts = FileFacts(cache)
    assert facts.fact(path, "key", path.read_text) == "one"
    facts.save()
    path.write_text("two")
    os.utime(path, ns=times)
    assert FileFacts(cache).fact(path, "key", path.read_text) == "two"
    (tmp_path / "b").write_text("six")
    os.utime(tmp_path / "b", ns=times)
    (tmp_path / "b").replace(path)
    assert FileFacts(cache).fact(path, "key", path.read_text) == "six"


@pytest.mark.parametrize("content", ["[]", "{}", "", "null", "\udcff\n\udcff"])
def test_a_cache_of_another_form_is_empty(tmp_path, content):
    cache = tmp_path / "facts.json"
    cache.write_bytes(content.encode(errors="surrogateescape"))
    assert FileFacts(cache).known == {}


def test_no_flipped_bit_in_the_cache_is_believed(tmp_path):
    path, cache = tmp_path / "a", tmp_path / "facts.json"
    path.write_text("one")
    facts = FileFacts(cache)
    facts.fact(path, "key", path.read_text)
    facts.save()
    content = cache.read_bytes()
    assert FileFacts(cache).known == facts.known
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        cache.write_bytes(damaged)
        assert FileFacts(cache).known == {}


def test_a_file_that_changes_while_it_is_read_is_no_fact(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")

    def read():
        path.write_text("three")
        return "one"

    with pytest.raises(DatasetError, match="a: was changed while it was read; run the same command again"):
        FileFacts().fact(path, "key", read)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DatasetError, match="pipe: is no regular file"):
        FileFacts().fact(tmp_path / "pipe", "key", lambda: pytest.fail("it was opened"))


def test_what_is_read_is_kept_while_the_file_stays_as_it_is(tmp_path):
    path, read = tmp_path / "a", []

    @kept_while_unchanged(2)
    def content(path):
        read.append(path)
        return path.read_text()

    path.write_text("one")
    assert [content(path), content(path)] == ["one", "one"]
    path.write_text("three")
    assert content(path) == "three"
    assert len(read) == 2
    path.unlink()
    with pytest.raises(FileNotFoundError):  # the function says what is missing
        content(path)
