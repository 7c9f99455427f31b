"""The program of an exported folder; tests/pipeline/test_export.py runs it on a network."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.files.images import read_image as read_as_the_pipeline

predict = pytest.importorskip("tasks.runtime.exported_predict", reason="onnxruntime is not installed (extra onnx)")


def test_an_image_is_read_as_by_the_pipeline(tmp_path):
    path = tmp_path / "a.png"
    for values in (
        np.random.default_rng(0).integers(0, 65536, (6, 8)).astype(np.uint16),
        np.random.default_rng(0).integers(0, 256, (6, 8, 4)).astype(np.uint8),
        np.eye(6, 8, dtype=bool),
    ):
        Image.fromarray(values).save(path)
        assert np.array_equal(predict.read_image(path), read_as_the_pipeline(path))


def test_no_label_map_replaces_another_one_or_an_image(tmp_path):
    images = [Path("x/a.jpg"), Path("x/a.png"), Path("y/b.jpg")]
    found = predict.result_files(images, Path("out"))
    assert [path.name for path in found.values()] == ["a.jpg.png", "a.png.png", "b.png"]
    assert list(predict.result_files(images[:1], Path("out")).values()) == [Path("out/a.png")]
    with pytest.raises(SystemExit, match="two images have the same name"):
        predict.result_files([Path("x/1.jpg"), Path("y/1.jpg")], Path("out"))
    with pytest.raises(SystemExit, match="would replace this image; name another --output folder"):
        predict.result_files([tmp_path / "a.png"], tmp_path)
