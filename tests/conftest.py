"""A tiny RGB-D set and the real command line, for all tests."""

import gc
import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: two test processes on two cores, and the commands that they start

import shutil
import subprocess
from pathlib import Path

import luigi
import pytest
import torch
from filelock import FileLock
from support import TINY_SETTINGS, CommandLine, CommandLineHere, tiny_config

from data.demo.scenes import render_demo
from tasks.runtime.luigi_seam import forget_instances


def pytest_collection_finish():
    """Modules and thousands of tests stay to the end. Without this, each stage that a test runs looks for garbage
    among them (`reset_peak_memory`), which takes longer than the stage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory) -> Path:
    """One folder for all processes of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def rendered(shared_folder) -> Path:
    """10 training and 5 evaluation frames in BOP layout, rendered once. Not to be changed."""
    root = shared_folder / "rendered" / "tiny"
    with FileLock(shared_folder / "rendered.lock"):
        if not root.exists():
            render_demo(root, {"train_pbr": (2, 5), "test": (1, 5)})
    return root


@pytest.fixture(scope="session")
def finished_once(shared_folder, rendered) -> CommandLine:
    """A finished RunAll, computed once for all tests and processes. Not to be changed; `finished` is a copy."""
    line = CommandLine(shared_folder / "finished", rendered)
    log = line.folder / "log.txt"
    with FileLock(shared_folder / "finished.lock"):
        if not log.exists():
            line.folder.mkdir()
            (line.folder / "luigi.cfg").write_text(tiny_config())
            result = line.luigi("RunAll", "--processes", 1)
            assert result.returncode == 0, result.stderr
            log.write_text(result.stderr)
    line.log = log.read_text()
    return line


@pytest.fixture
def finished(finished_once, in_process, tmp_path, capsys) -> CommandLineHere:
    """A copy of the finished RunAll that a test may spoil."""
    folder = tmp_path / "finished"
    shutil.copytree(finished_once.folder, folder)
    return CommandLineHere(folder, finished_once.data_root, capsys)


@pytest.fixture
def bop_root(rendered, tmp_path) -> Path:
    """A copy of the tiny set that a test may spoil."""
    return Path(shutil.copytree(rendered, tmp_path / "tiny"))


@pytest.fixture
def tiny_settings(tmp_path, monkeypatch) -> Path:
    """A working directory whose luigi.cfg makes every stage tiny; the path of that file."""
    folder = tmp_path / "work"
    folder.mkdir()
    path = folder / "luigi.cfg"
    path.write_text(tiny_config())
    monkeypatch.chdir(folder)
    return path


@pytest.fixture
def in_process(tiny_settings):
    """The tiny settings for tasks made in the test's own process."""
    config = luigi.configuration.get_config()
    for section, values in TINY_SETTINGS.items():
        for name, value in values.items():
            config.set(section, name, value)
    forget_instances()
    yield
    for section in TINY_SETTINGS:
        config.remove_section(section)
    forget_instances()


@pytest.fixture
def here(in_process, tiny_settings, bop_root, capsys) -> CommandLineHere:
    """The command line in the test's own process: no start-up, and no second torch."""
    return CommandLineHere(tiny_settings.parent, bop_root, capsys)


@pytest.fixture
def command_line(tiny_settings, bop_root) -> CommandLine:
    return CommandLine(tiny_settings.parent, bop_root)


@pytest.fixture(scope="session")
def tiny_depth_network(tmp_path_factory) -> Path:
    """Folder of a Depth Anything of two thousand random parameters, as the transformers library saves it."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("depth_network")
    backbone = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=28,
        patch_size=14, out_indices=[1, 2], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, neck_hidden_sizes=[8, 8], reassemble_factors=[2, 1], fusion_hidden_size=8,
        head_hidden_size=8, reassemble_hidden_size=16,
    )  # fmt: skip
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    transformers.DPTImageProcessor(
        size={"height": 28, "width": 28}, ensure_multiple_of=14, keep_aspect_ratio=True
    ).save_pretrained(folder)
    return folder


@pytest.fixture
def slurm_answers():
    """Skips the test where no SLURM answers."""
    try:
        subprocess.run(["sinfo"], capture_output=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("no SLURM answers here (sinfo)")
