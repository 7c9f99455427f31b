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


def test_a_broken_image_is_one_line_and_the_others_have_results(tmp_path, monkeypatch, capsys):
    class Session:
        """A network to which every pixel is of class 1."""

        def __init__(self, *arguments, **keywords):
            pass

        def run(self, names, inputs):
            shape = inputs["image"].shape[:3]
            return [np.ones(shape, np.uint8), np.ones(shape, np.float32)]

    for name in ("a", "z"):
        Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(tmp_path / f"{name}.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.jpg").write_text("no image\n")
    (tmp_path / "labels.json").write_text('{"classes": ["background", "mug"]}')
    names = ["cut.png", "a.png", "text.jpg", "missing.png", "z.png"]
    monkeypatch.setattr(predict, "__file__", str(tmp_path / "predict.py"))
    monkeypatch.setattr(predict.onnxruntime, "InferenceSession", Session)
    output = tmp_path / "out"
    arguments = ["predict.py", *(str(tmp_path / name) for name in names), "--output", str(output)]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as ended:
        predict.main()
    assert ended.value.code == "3 of 5 images cannot be read"
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert [line.split(": is no image that can be read (")[0] for line in lines] == [
        str(tmp_path / name) for name in ("cut.png", "text.jpg", "missing.png")
    ]
    assert told.out.count("mug 100.0 %") == 2
    assert sorted(path.name for path in output.iterdir()) == ["a.png", "z.png"]
    assert np.asarray(Image.open(output / "z.png")).all()
