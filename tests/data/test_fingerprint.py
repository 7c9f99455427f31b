import hashlib
import os

import pytest

from data.errors import DatasetError
from data.fingerprint import FileHashes, hash_file


def test_hash_is_blake2b_of_the_content(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 3_000_000)
    assert hash_file(path) == hashlib.blake2b(b"x" * 3_000_000, digest_size=16).hexdigest()


def test_a_known_file_is_not_read_again_until_it_changes(tmp_path, monkeypatch):
    path, cache = tmp_path / "a", tmp_path / "cache" / "hashes.json"
    path.write_text("one")
    first = FileHashes(cache)
    digest = first(path)
    first.save()
    reads = []
    monkeypatch.setattr("data.fingerprint.hash_file", lambda p: reads.append(p) or "new")
    assert FileHashes(cache)(path) == digest
    assert not reads
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert FileHashes(cache)(path) == "new"
    assert reads == [path]


def test_a_broken_or_unwritable_cache_only_costs_time(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    cache = tmp_path / "hashes.json"
    cache.write_text("{ cut")
    assert FileHashes(cache)(path) == hash_file(path)
    hashes = FileHashes(path / "below a file" / "hashes.json")
    hashes(path)
    hashes.save()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match="gone: file is missing"):
        FileHashes(tmp_path / "cache")(tmp_path / "gone")
