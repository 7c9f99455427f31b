"""Exports of the real command line, opened by Pillow, pycocotools, our own BOP reader and onnxruntime."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from data.store.artifact import Artifact
from data.store.sharded import ShardedStore


def artifact_of(line, stage):
    (path,) = (path for path in (line.artifacts / "bop" / stage).iterdir() if not path.name.endswith(".partial"))
    return path


@pytest.mark.pipeline
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_labels_and_model_leave_the_house(command_line, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    from pycocotools.coco import COCO

    first = command_line.luigi("ExportLabels", "--formats", "png,coco,bop", "--processes", 1)
    assert first.returncode == 0, first.stderr
    labels = ShardedStore(artifact_of(command_line, "PredictMasks"))
    exported = artifact_of(command_line, "ExportLabels")
    names = json.loads((exported / "classes.json").read_text())
    coco = COCO(exported / "coco.json")
    assert len(coco.getImgIds()) == 10
    for number, image_id in enumerate(labels.image_ids):
        label = labels.read_image("label", number)
        assert np.array_equal(np.asarray(Image.open(exported / "png" / f"{image_id}.png")), label)
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[number + 1]))
        assert {item["category_id"] for item in annotations} == set(np.unique(label)) - {0}
        for item in annotations:
            assert np.array_equal(coco.annToMask(item), label == item["category_id"])
        scene, frame = image_id.rsplit("/", 1)
        truth = json.loads((exported / "bop" / scene / "scene_gt.json").read_text())[str(int(frame))]
        for place, item in enumerate(truth):
            mask = np.asarray(Image.open(exported / "bop" / scene / "mask_visib" / f"{frame}_{place:06d}.png"))
            assert np.array_equal(mask > 0, label == item["obj_id"])
    result = command_line.luigi("ExportModel", "--processes", 1)
    assert result.returncode == 0, result.stderr
    folder = artifact_of(command_line, "ExportModel")
    described = json.loads((folder / "labels.json").read_text())
    assert described["classes"] == names
    assert described["difference"] < 1e-4
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    image = np.asarray(Image.open(next(command_line.data_root.glob("test/*/rgb/*.jpg"))), np.float32) / 255
    (found,) = session.run(None, {"image": image.transpose(2, 0, 1)[None]})
    assert found.shape == (1, len(names), *image.shape[:2])
    assert np.allclose(found.sum(1), 1, atol=1e-4)

    # New images by the model alone: the data set is out of reach.
    new = tmp_path / "new images"
    new.mkdir()
    for number, path in enumerate(sorted(command_line.data_root.glob("test/*/rgb/*.jpg"))[:3]):
        (new / f"{number}.jpg").write_bytes(path.read_bytes())
    command_line.data_root.rename(tmp_path / "elsewhere")
    model = artifact_of(command_line, "TrainSegmenter")
    flags = ["--model", model, "--images", new, "--output", tmp_path / "out"]
    result = command_line.plain("PredictFolder", *flags, "--flip", "false")
    assert result.returncode == 0, result.stderr
    written = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in written] == [f"{n}{end}" for n in range(3) for end in (".png", "_overlay.jpg")]
    image = np.asarray(Image.open(new / "0.jpg"), np.float32) / 255
    (found,) = session.run(None, {"image": image.transpose(2, 0, 1)[None]})
    assert (np.asarray(Image.open(tmp_path / "out" / "0.png")) == found[0].argmax(0)).mean() > 0.999
    os.utime(new / "1.jpg")
    again = command_line.plain("PredictFolder", *flags, "--flip", "false")
    assert "1/1" in again.stderr
    assert Artifact(model).is_complete()
    wrong = command_line.plain("PredictFolder", "--model", exported, "--images", new, "--output", tmp_path / "no")
    assert wrong.returncode != 0
    assert "is of ExportLabels; a model of TrainSegmenter" in wrong.stderr
