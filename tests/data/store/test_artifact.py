import errno
import os

import pytest

from data.errors import DamagedArtifactError, StoreError
from data.store.artifact import MARKER, Artifact, hash_text, write_bytes, write_json


def test_without_its_marker_an_artifact_is_not_complete(tmp_path):
    artifact = Artifact(tmp_path / "model")
    write_bytes(artifact.path / "model.bin", b"weights")
    assert not artifact.is_complete()
    artifact.finish({})
    assert artifact.is_complete()
    digest = artifact.digest()
    (artifact.path / MARKER).write_text("{ cut")
    assert artifact.marker is None
    assert not artifact.is_complete()
    artifact.finish({})
    assert artifact.digest() == digest
    (artifact.path / "model.bin").write_bytes(b"short")
    assert not artifact.is_complete()


def test_the_digest_is_of_names_and_contents(tmp_path):
    digests = set()
    for number, (name, content) in enumerate((("a", b"1"), ("a", b"2"), ("b", b"1"))):
        artifact = Artifact(tmp_path / str(number))
        write_bytes(artifact.path / name, content)
        artifact.finish({})
        digests.add(artifact.digest())
    assert len(digests) == 3


def test_damaged_files_are_found_though_their_size_is_right(tmp_path):
    artifact = Artifact(tmp_path / "model")
    write_bytes(artifact.path / "model.bin", b"weights")
    artifact.finish({})
    (artifact.path / "model.bin").write_bytes(b"weighty")
    assert artifact.is_complete()
    assert artifact.damaged_files() == [artifact.path / "model.bin"]


def test_a_damaged_file_is_never_read_as_data(tmp_path):
    artifact = Artifact(tmp_path / "model")
    write_bytes(artifact.path / "model.bin", b"weights")
    artifact.finish({})
    assert artifact.read("model.bin") == b"weights"
    (artifact.path / "model.bin").write_bytes(b"weighty")
    with pytest.raises(DamagedArtifactError, match="model: model.bin is damaged") as caught:
        artifact.read("model.bin")
    with pytest.raises(DamagedArtifactError):
        artifact.read("other.bin")
    artifact.repair(caught.value)
    assert not artifact.path.exists()


def test_leftovers_of_interrupted_writes_go_and_do_not_count(tmp_path):
    artifact = Artifact(tmp_path / "model")
    write_bytes(artifact.path / "model.bin", b"weights")
    artifact.finish({})
    digest = artifact.digest()
    (artifact.path / "model.bin.partial").write_bytes(b"wei")
    artifact.finish({})
    assert artifact.digest() == digest
    assert not list(artifact.path.glob("*.partial"))


def test_discard_and_size(tmp_path):
    artifact = Artifact(tmp_path / "model")
    write_bytes(artifact.path / "sub" / "model.bin", b"weights")
    assert artifact.size() == (1, 7)
    artifact.discard()
    assert not artifact.path.exists()
    assert artifact.marker is None
    assert not artifact.is_complete()


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="cannot be written .No space left on device."):
        write_json(path, {"new": 2})
    assert "old" in path.read_text()


def test_below_a_file_nothing_is_complete(tmp_path):
    (tmp_path / "file").write_text("")
    assert Artifact(tmp_path / "file" / "model").marker is None


def test_json_is_the_same_text_whatever_the_order(tmp_path):
    write_json(tmp_path / "a", {"x": 1, "y": 2})
    write_json(tmp_path / "b", {"y": 2, "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert hash_text("a") != hash_text("b")
    assert (tmp_path / "a").name != MARKER


def test_the_files_of_a_marker_are_looked_at_once_until_the_marker_changes(tmp_path, monkeypatch):
    artifact = Artifact(tmp_path / "model")
    write_bytes(artifact.path / "model.bin", b"weights")
    artifact.finish({})
    looked = []
    getsize = os.path.getsize
    monkeypatch.setattr(os.path, "getsize", lambda path: looked.append(path) or getsize(path))
    assert [Artifact(artifact.path).digest() for _ in range(3)].count(None) == 0
    assert len(looked) == 1
    write_bytes(artifact.path / "more.bin", b"more")
    artifact.finish({})
    assert artifact.marker is not None
    assert len(looked) == 3


def artifact_of(path, content=b"weights", identity="abc"):
    artifact = Artifact(path)
    write_bytes(path / "model.bin", content)
    artifact.finish({"Above": "digest"}, identity)
    return artifact


def test_no_flipped_bit_in_a_marker_is_believed(tmp_path):
    artifact = artifact_of(tmp_path / "model")
    path, expected = artifact.path / MARKER, artifact.marker
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        os.utime(path, ns=(bit, bit))
        assert artifact.marker in (None, expected)  # the same where the bit is in a space between the entries


@pytest.mark.parametrize("content", ["[]", "null", '"text"', "3", "", "{}", '{"files": []}', "\udcff"])
def test_a_marker_of_another_form_is_none(tmp_path, content):
    artifact = artifact_of(tmp_path / "model")
    (artifact.path / MARKER).write_bytes(content.encode(errors="surrogateescape"))
    assert artifact.marker is None
    assert artifact.digest() is None
    assert artifact.damaged_files() == [artifact.path / MARKER]
    with pytest.raises(DamagedArtifactError):
        artifact.read("model.bin")


def test_what_differs_from_the_marker_does_not_outlive_it(tmp_path):
    artifact = artifact_of(tmp_path / "model")
    write_bytes(artifact.path / "good.bin", b"good")
    artifact.finish({})
    (artifact.path / "model.bin").write_bytes(b"weighty")
    artifact.reopen()
    assert not (artifact.path / MARKER).exists()
    assert [path.name for path in artifact.files()] == ["good.bin"]


def test_a_linked_folder_is_emptied_and_stays_linked(tmp_path):
    artifact_of(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    Artifact(tmp_path / "link").discard()
    assert (tmp_path / "link").is_symlink()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_if_anything_is_left_discard_says_so(tmp_path, monkeypatch):
    artifact = artifact_of(tmp_path / "model")

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(StoreError, match="model: cannot be removed .Permission denied.; remove it"):
        artifact.discard()
    assert not artifact.is_complete()


def test_a_file_is_compared_with_the_marker_before_it_is_first_used(tmp_path):
    artifact = artifact_of(tmp_path / "model")
    artifact.require_sound("model.bin")
    (artifact.path / "model.bin").write_bytes(b"weighty")
    with pytest.raises(DamagedArtifactError, match="model.bin is damaged or missing .its hash is not the recorded one"):
        Artifact(artifact.path).require_sound("model.bin")
    with pytest.raises(DamagedArtifactError, match="the marker does not list it"):
        artifact.require_sound("other.bin")
