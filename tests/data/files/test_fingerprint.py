import hashlib
import os

import pytest

from data.errors import DatasetError
from data.files.fingerprint import FileHashes, WatchedFiles, hash_file


def test_hash_is_blake2b_of_the_content(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 3_000_000)
    assert hash_file(path) == hashlib.blake2b(b"x" * 3_000_000, digest_size=16).hexdigest()


def test_hashes_are_remembered(tmp_path, monkeypatch):
    path, cache = tmp_path / "a", tmp_path / "hashes.json"
    path.write_text("one")
    first = FileHashes(cache)
    digest = first(path)
    first.save()
    monkeypatch.setattr("data.files.fingerprint.hash_file", lambda path: pytest.fail("the file was read again"))
    assert FileHashes(cache)(path) == digest


def test_an_item_of_an_array_has_the_hash_of_the_file_and_its_index(tmp_path):
    path = tmp_path / "images.npy"
    path.write_bytes(b"x")
    assert FileHashes(tmp_path / "cache")(path / "3") == f"{hash_file(path)}/3"


def test_a_watched_file_that_was_changed_and_restored_is_noticed(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    watched = WatchedFiles(FileHashes())
    digest = watched(path)
    watched.require_unchanged()
    path.write_text("two")
    path.write_text("one")
    os.utime(path, ns=times)
    assert hash_file(path) == digest
    with pytest.raises(DatasetError, match="a: was changed while it was read"):
        watched.require_unchanged()
    path.unlink()
    with pytest.raises(DatasetError, match="a: file is missing"):
        watched.require_unchanged()


def test_the_digest_of_watched_files_is_that_of_their_stamps(tmp_path):
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        path.write_text("one")

    def digest(order):
        watched = WatchedFiles(FileHashes())
        for path in order:
            watched(path)
        return watched.digest()

    before = digest(paths)
    assert digest(paths[::-1]) == before
    assert digest(paths[:1]) != before
    paths[1].write_text("two")
    assert digest(paths) != before


def test_the_files_that_one_function_asks_for_have_a_digest_of_their_own(tmp_path):
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        path.write_text("one")
    watched = WatchedFiles(FileHashes())
    watched(paths[0])
    own = watched.digest_of(lambda: watched(paths[1]))
    alone = WatchedFiles(FileHashes())
    alone(paths[1])
    assert own == alone.digest() != watched.digest()
    assert watched.digest_of(lambda: None) == ""
    paths[0].write_text("other")
    watched.digest_of(lambda: watched(paths[0]))
    with pytest.raises(DatasetError, match="a"):
        watched.require_unchanged()  # it was watched as it was
