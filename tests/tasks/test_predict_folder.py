"""Names of the results, and what is predicted again; the predictions themselves are tested in tests/pipeline."""

import os

import numpy as np
import pytest

from data.errors import SettingError
from tasks.predict_folder import PredictFolder, _overlay


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.jpg", "a.png", "b.jpg", "notes.txt"):
        (folder / name).write_bytes(b"")
    return folder


def names(task):
    return {image.name: task._target(image).name for image in task._waiting()}


def test_images_that_differ_in_their_ending_alone_have_results_of_their_own(images, tmp_path):
    task = PredictFolder(model="model", images=str(images), output=str(tmp_path / "out"))
    assert names(task) == {"a.jpg": "a.jpg.png", "a.png": "a.png.png", "b.jpg": "b.png"}


def test_results_that_would_overwrite_each_other_are_refused(images, tmp_path):
    (images / "a.jpg.png").write_bytes(b"")
    with pytest.raises(SettingError, match="two images would have the result a.jpg.png; rename one"):
        PredictFolder(model="model", images=str(images), output=str(tmp_path / "out")).complete()


def test_what_is_younger_than_its_image_is_kept(images, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "b.png").write_bytes(b"")
    os.utime(images / "b.jpg", (1, 1))
    task = PredictFolder(model="model", images=str(images), output=str(out))
    assert set(names(task)) == {"a.jpg", "a.png"}
    assert not task.complete()


def test_a_folder_without_images_is_named(tmp_path):
    with pytest.raises(SettingError, match="has no images; --images must name a folder"):
        PredictFolder(model="model", images=str(tmp_path)).complete()


def test_the_overlay_has_a_colour_for_every_class_but_0():
    image = np.full((1, 5, 3), 100, np.uint8)
    found = _overlay(image, np.array([[0, 44, 255, 256, 1203]], np.uint16))[0].tolist()
    assert found[0] == [100] * 3
    assert len({tuple(colour) for colour in found}) == 5
