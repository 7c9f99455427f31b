"""The data set of the benchmark of scale."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from data.demo import scenes
from data.files.images import read_image
from data.files.labels import read_labels
from data.readers.folder import read_folder
from data.sample import EVALUATION, TRAIN

spec = importlib.util.spec_from_file_location("scale", Path(__file__).parents[2] / "benchmarks" / "scale.py")
scale = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scale)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(scale, "SIZE", (24, 32))
    monkeypatch.setattr(scale, "SCENES", 10)
    monkeypatch.setattr(scale, "ProcessPoolExecutor", InThisProcess)
    for side in ("HEIGHT", "WIDTH"):  # the benchmark sets them for its process
        monkeypatch.setattr(scenes, side, getattr(scenes, side))


class InThisProcess:
    """Worker processes would not see the small sizes."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False

    map = staticmethod(map)


def test_the_set_has_files_of_its_own_for_each_image(small, tmp_path):
    scale.make_data_set(tmp_path / "set", 30)
    index = read_folder(tmp_path / "set")
    assert (len(index.split(TRAIN)), len(index.split(EVALUATION))) == (27, 3)
    files = [path for sample in index.samples for path in (sample.image, sample.depth, sample.truth[0].path)]
    assert len({path.stat().st_ino for path in files}) == 90
    assert len({path.read_bytes() for path in files[::3]}) == 30
    for sample in index.samples:
        assert read_image(sample.image).shape == (24, 32, 3)
        assert sample.tags == tuple(number for number in np.unique(read_labels(sample.truth[0].path)) if number)


def test_a_set_that_is_there_is_kept(small, tmp_path, monkeypatch):
    scale.make_data_set(tmp_path / "set", 10)
    monkeypatch.setattr(scenes, "render_demo", lambda *arguments: pytest.fail("rendered again"))
    scale.make_data_set(tmp_path / "set", 10)
