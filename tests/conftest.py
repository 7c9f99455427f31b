"""A tiny RGB-D set and the real command line, for all tests."""

import shutil
from pathlib import Path

import luigi
import pytest
from support import TINY_SETTINGS, CommandLine, tiny_config

from data.synthetic import render_demo


@pytest.fixture(scope="session")
def rendered(tmp_path_factory) -> Path:
    """10 training and 5 evaluation frames in BOP layout, rendered once. Not to be changed."""
    root = tmp_path_factory.mktemp("rendered") / "tiny"
    render_demo(root, {"train_pbr": (2, 5), "test": (1, 5)})
    return root


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
    luigi.task_register.Register.clear_instance_cache()
    yield
    for section in TINY_SETTINGS:
        config.remove_section(section)
    luigi.task_register.Register.clear_instance_cache()


@pytest.fixture
def command_line(tiny_settings, bop_root) -> CommandLine:
    return CommandLine(tiny_settings.parent, bop_root)
