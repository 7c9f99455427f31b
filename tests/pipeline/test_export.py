"""Exports of the real command line, opened by Pillow, pycocotools, zipfile, onnxruntime, and by predict.py."""

import ast
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from data.store.artifact import Artifact
from data.store.sharded import ShardedStore


def artifact_of(line, stage):
    (path,) = (path for path in (line.artifacts / "bop" / stage).iterdir() if not path.name.endswith(".partial"))
    return path


def run_elsewhere(folder, pictures, output, *flags):
    """Run predict.py of an exported folder in a process that sees nothing of this project."""
    code = ast.parse((folder / "predict.py").read_text())
    used = {name for node in ast.walk(code) if isinstance(node, ast.Import) for name in (a.name for a in node.names)}
    used |= {node.module for node in ast.walk(code) if isinstance(node, ast.ImportFrom)}
    assert used == {"argparse", "json", "sys", "collections", "pathlib", "numpy", "onnxruntime", "PIL"}
    output.mkdir()
    command = [sys.executable, "-I", folder / "predict.py", *pictures, "--output", output, *flags]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=output, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [str(picture) for picture in pictures]
    assert all(np.asarray(Image.open(output / f"{picture.stem}.png")).shape == (144, 192) for picture in pictures)


@pytest.mark.pipeline
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_labels_and_model_are_of_use_elsewhere(here, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    from pycocotools.coco import COCO

    pytest.importorskip("cv2")
    first = here.luigi("ExportLabels", "--formats", "png,coco,bop,cvat,label_studio,yolo", "--processes", 1)
    assert first.returncode == 0, first.stderr
    labels = ShardedStore(artifact_of(here, "PredictMasks"))
    exported = artifact_of(here, "ExportLabels")
    names = json.loads((exported / "classes.json").read_text())
    coco = COCO(exported / "coco.json")
    assert len(coco.getImgIds()) == 10
    for index, image_id in enumerate(labels.image_ids):
        label = labels.read_image("label", index)
        assert np.array_equal(np.asarray(Image.open(exported / "png" / f"{image_id}.png")), label)
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[index + 1]))
        assert {item["category_id"] for item in annotations} == set(np.unique(label)) - {0}
        for item in annotations:
            assert np.array_equal(coco.annToMask(item), label == item["category_id"])
        scene, frame = image_id.rsplit("/", 1)
        truth = json.loads((exported / "bop" / scene / "scene_gt.json").read_text())[str(int(frame))]
        for place, item in enumerate(truth):
            mask = np.asarray(Image.open(exported / "bop" / scene / "mask_visib" / f"{frame}_{place:06d}.png"))
            assert np.array_equal(mask > 0, label == item["obj_id"])
    images = json.loads((exported / "images.json").read_text())
    assert list(images) == labels.image_ids
    assert all((here.data_root / name).is_file() for name in images.values())
    with zipfile.ZipFile(exported / "cvat.zip") as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 2 + 2 * 10
    tasks = json.loads((exported / "label_studio/tasks_0001.json").read_text())
    assert [task["data"]["image"] for task in tasks] == [f"/data/local-files/?d={name}" for name in images.values()]
    assert len(list(exported.glob("yolo/images/train/**/*.jpg"))) == 10
    assert len(list(exported.glob("yolo/labels/train/**/*.txt"))) == 10

    result = here.luigi(
        "ExportModel", "--int8", "true", "--calibration", 4, "--scale", 1, "--licence", "mit", "--processes", 1
    )
    assert result.returncode == 0, result.stderr
    folder = artifact_of(here, "ExportModel")
    described = json.loads((folder / "labels.json").read_text())
    assert described["classes"] == names
    assert described["difference"] < 1e-4
    assert described["scale"] == 1
    assert described["size"] == 0
    assert described["miou"].keys() == {"model.onnx", "model_int8.onnx"}
    card = (folder / "README.md").read_text()
    assert f"| `model.onnx` | {described['miou']['model.onnx']:.2f} |" in card
    assert "on 5 evaluation images" in card
    assert "from image tags and depth, without pixel labels." in card
    assert artifact_of(here, "TrainSegmenter").name in card
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    pictures = sorted(here.data_root.glob("test/*/rgb/*.jpg"))[:3]
    run_elsewhere(folder, pictures, tmp_path / "float")
    run_elsewhere(folder, pictures, tmp_path / "int8", "--model", "model_int8.onnx")

    # New images by the model alone: the data set is out of reach.
    new = tmp_path / "new images"
    new.mkdir()
    for number, path in enumerate(sorted(here.data_root.glob("test/*/rgb/*.jpg"))[:3]):
        (new / f"{number}.jpg").write_bytes(path.read_bytes())
    here.data_root.rename(tmp_path / "elsewhere")
    model = artifact_of(here, "TrainSegmenter")
    flags = ["--model", model, "--images", new, "--output", tmp_path / "out"]
    result = here.plain("PredictFolder", *flags, "--flip", "false")
    assert result.returncode == 0, result.stderr
    written = sorted((tmp_path / "out").iterdir())
    names = [f"{n}{end}" for n in range(3) for end in (".png", "_overlay.jpg")]
    assert [path.name for path in written] == [*names, "predictions.json"]
    for number, picture in enumerate(pictures):  # predict.py gives what the network in torch gives
        ours, theirs = tmp_path / "out" / f"{number}.png", tmp_path / "float" / f"{picture.stem}.png"
        assert (np.asarray(Image.open(ours)) == np.asarray(Image.open(theirs))).mean() > 0.999
        labels, _ = session.run(None, {"image": np.asarray(Image.open(new / f"{number}.jpg"))[None]})
        assert np.array_equal(labels[0], np.asarray(Image.open(theirs)))
    (new / "1.jpg").write_bytes((new / "2.jpg").read_bytes())
    first_time = (tmp_path / "out" / "0.png").stat().st_mtime_ns
    again = here.plain("PredictFolder", *flags, "--flip", "false")
    assert "PredictFolder: wrote" in again.stderr
    assert (tmp_path / "out" / "0.png").stat().st_mtime_ns == first_time
    assert (tmp_path / "out" / "1.png").read_bytes() == (tmp_path / "out" / "2.png").read_bytes()
    assert Artifact(model).is_complete()
    wrong = here.plain("PredictFolder", "--model", exported, "--images", new, "--output", tmp_path / "no")
    assert wrong.returncode != 0
    assert "is not a complete artifact of a training stage" in wrong.stderr
