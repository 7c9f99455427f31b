import json

from data.store.artifact import Artifact, write_bytes
from tasks.runtime.record import PACKAGES, read_record, write_record


def finished(folder):
    artifact = Artifact(folder / "artifact")
    write_bytes(artifact.path / "a.bin", b"x" * 1000)
    artifact.finish({})
    return artifact


def test_a_record_says_how_an_artifact_was_computed(tmp_path, log_lines):
    artifact = finished(tmp_path)
    path = tmp_path / "runs" / "a.json"
    write_record(path, "LoadDepth", artifact, 4.0, 10, 3)
    record = read_record(path)
    assert record.items() < json.loads(path.read_text()).items()
    assert (record["seconds"], record["images"], record["images_per_second"], record["seed"]) == (4.0, 10, 2.5, 3)
    assert record["versions"].keys() == set(PACKAGES)
    assert record["peak_memory_mb"] > 0
    assert {"finished", "host", "python"} <= record.keys()
    assert log_lines == [f"LoadDepth: 4.0 s, 2.5 images/s, 0.0 MB in 2 files, wrote {artifact.path}"]
    assert sorted(file.name for file in artifact.path.iterdir()) == ["COMPLETE.json", "a.bin"]


def test_work_that_is_not_counted_in_images_has_no_rate(tmp_path, log_lines):
    write_record(tmp_path / "a.json", "WriteReport", finished(tmp_path), 4.0, 0, 0)
    assert read_record(tmp_path / "a.json")["images_per_second"] is None
    assert len(log_lines) == 1
    assert "images/s" not in log_lines[0]


def test_a_package_that_is_not_installed_is_named_so(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.runtime.record.PACKAGES", ("numpy", "no-such-package"))
    write_record(tmp_path / "a.json", "LoadDepth", finished(tmp_path), 1.0, 1, 0)
    assert read_record(tmp_path / "a.json")["versions"]["no-such-package"] == "not installed"


def test_no_record_or_a_damaged_one_is_empty(tmp_path):
    path = tmp_path / "a.json"
    assert read_record(path) == {}
    write_record(path, "LoadDepth", finished(tmp_path), 4.0, 10, 3)
    good = path.read_bytes()
    changed = (good.replace(b'"seconds"', b'"secgnds"'), good.replace(b"4.0", b"6.0"))
    for damaged in (b"{", b"[]", b"{}", b'"seconds"', b"\xff", *changed):
        path.write_bytes(damaged)
        assert read_record(path) == {}
