"""Exports of the real command line, opened by Pillow, pycocotools, our own BOP reader and onnxruntime."""

import json

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
def test_labels_and_model_are_of_use_elsewhere(here, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    from pycocotools.coco import COCO

    first = here.luigi("ExportLabels", "--formats", "png,coco,bop", "--processes", 1)
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
    result = here.luigi("ExportModel", "--processes", 1)
    assert result.returncode == 0, result.stderr
    folder = artifact_of(here, "ExportModel")
    described = json.loads((folder / "labels.json").read_text())
    assert described["classes"] == names
    assert described["difference"] < 1e-4
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    image = np.asarray(Image.open(next(here.data_root.glob("test/*/rgb/*.jpg"))), np.float32) / 255
    (found,) = session.run(None, {"image": image.transpose(2, 0, 1)[None]})
    assert found.shape == (1, len(names), *image.shape[:2])
    assert np.allclose(found.sum(1), 1, atol=1e-4)

    assert here.luigi("ExportModel", "--ExportModel-height", 120).returncode == 0
    sizes = [json.loads(path.read_text()) for path in folder.parent.glob("*/labels.json")]
    assert {(size["height"], size["width"]) for size in sizes} == {(144, 192), (120, 192)}  # the other side as before

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
    image = np.asarray(Image.open(new / "0.jpg"), np.float32) / 255
    (found,) = session.run(None, {"image": image.transpose(2, 0, 1)[None]})
    assert (np.asarray(Image.open(tmp_path / "out" / "0.png")) == found[0].argmax(0)).mean() > 0.999
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
