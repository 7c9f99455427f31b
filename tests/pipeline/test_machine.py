"""What doctor finds, on machines that lack something."""

import errno
import sys
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import luigi.configuration
import pytest

from pipeline import machine
from pipeline.machine import OK, PROBLEM, WARNING, findings

Part = namedtuple("Part", "mountpoint fstype opts")


def test_this_machine_works(tmp_path):
    found = list(findings(tmp_path / "artifacts"))
    assert [finding for finding in found if finding.level == PROBLEM] == []
    about = [finding.about for finding in found]
    assert about[:10] == [
        "Python", "packages", "torch", "GPU", "compiler", "memory", "disk", "locks", "luigi.cfg", "data sets",
    ]  # fmt: skip
    assert "extra onnx" in about
    assert all("\n" not in finding.text for finding in found)
    assert list(tmp_path.iterdir()) == []


def test_a_checkout_that_is_not_installed_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_version", lambda name: None)
    assert [(finding.level, finding.about) for finding in findings(tmp_path)] == [(PROBLEM, "installation")]


def test_an_old_python_is_a_problem(monkeypatch):
    monkeypatch.setattr(machine.platform, "python_version", lambda: "3.9.1")
    assert machine.check_python().level == PROBLEM


def test_packages_that_are_missing_or_old_are_named(monkeypatch):
    there = {"luigi": "2.0", "zarr": "9.9"}

    def version(name):
        if name in there:
            return there[name]
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(metadata, "requires", lambda _: ["luigi>=3.8,<3.9", "zarr>=3.1", "dask", 'onnx; extra == "o"'])
    found = machine.check_packages()
    assert found.level == PROBLEM
    assert "luigi 2.0 is not" in found.text
    assert "dask is not installed" in found.text
    assert "zarr" not in found.text
    assert "onnx" not in found.text


def test_a_torch_that_cannot_be_loaded_is_a_problem(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert machine.check_torch().level == PROBLEM
    assert machine.check_gpu().level == WARNING


def test_a_driver_without_a_gpu_in_torch_is_a_warning(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine.check_gpu(tmp_path / "none").level == OK
    assert machine.check_gpu(tmp_path).level == WARNING


def test_a_compiler_is_needed_only_for_what_is_not_built(monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    monkeypatch.setattr(machine, "_version", lambda name: "1.0")
    assert machine.check_compiler().level == OK
    monkeypatch.setattr(machine, "_version", lambda name: None)
    assert machine.check_compiler().level == WARNING
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/bin/{name}")
    assert machine.check_compiler().level == OK


@pytest.mark.parametrize(("free", "level"), [(50e9, OK), (5e9, WARNING), (1e8, PROBLEM)])
def test_little_space_is_told(tmp_path, monkeypatch, free, level):
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(0, 0, free))
    assert machine.check_disk(tmp_path / "a/b").level == level


def test_a_folder_that_cannot_be_written_is_a_problem():
    assert machine.check_disk(Path("/proc/nowhere")).level == PROBLEM
    assert machine.check_locks(Path("/proc/nowhere")).level == PROBLEM


def test_a_file_in_the_place_of_the_artifacts_is_a_problem(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "artifacts"):
        found = machine.check_disk(place)
        assert (found.level, found.text) == (PROBLEM, f"{place} is no folder; name another one with --artifacts")


@pytest.mark.parametrize(
    ("kind", "options", "level", "words"),
    [
        ("ext4", "rw", OK, "local; locks work"),
        ("nfs4", "rw,local_lock=none", OK, "cannot be seen from one machine"),
        ("nfs", "rw,nolock", WARNING, "run on one machine at a time"),
        ("lustre", "rw,localflock", WARNING, "localflock"),
    ],
)
def test_a_shared_file_system_is_named(tmp_path, monkeypatch, kind, options, level, words):
    parts = [Part("/", "ext4", "rw"), Part(str(tmp_path.resolve()), kind, options)]
    monkeypatch.setattr(machine.psutil, "disk_partitions", lambda all: parts)
    found = machine.check_locks(tmp_path)
    assert found.level == level
    assert words in found.text


def test_locks_that_keep_nobody_out_are_a_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_keeps_out", lambda path: False)
    assert machine.check_locks(tmp_path).level == PROBLEM

    def no_locks(path):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(machine, "_keeps_out", no_locks)
    found = machine.check_locks(tmp_path)
    assert found.level == PROBLEM
    assert "no locks available" in found.text


def test_the_settings_file_in_use_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "there is no luigi.cfg" in machine.check_settings().text
    (tmp_path / "luigi.cfg").write_text("")
    assert machine.check_settings() == (OK, "luigi.cfg", str(tmp_path.resolve() / "luigi.cfg"))
    config = luigi.configuration.get_config()
    before = config.get("core", "local_scheduler")
    config.set("core", "local_scheduler", "false")
    try:
        assert machine.check_settings().level == WARNING
    finally:
        config.set("core", "local_scheduler", before)


def test_data_sets_that_are_found_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datasets/hope").mkdir(parents=True)
    assert machine.check_data().text.startswith("hope in ")


def test_an_extra_that_is_not_installed_says_how(monkeypatch):
    monkeypatch.setattr(machine, "_version", lambda name: None)
    found = {finding.about: finding for finding in machine.check_extras()}
    assert "pip install 'depthseed[onnx]'" in found["extra onnx"].text
    assert "extra test" not in found
