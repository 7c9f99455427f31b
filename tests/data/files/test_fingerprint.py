import hashlib

import pytest

from data.files.fingerprint import FileHashes, hash_file


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
