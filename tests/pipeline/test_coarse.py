"""The coarse road of the real command line, on label maps."""

import json
import re

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def camvid_root(tmp_path):
    """Six training and two evaluation street scenes of blocks."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for kind in ("images", "labels"):
            (tmp_path / "set" / "camvid" / split / kind).mkdir(parents=True)
        for number in range(count):
            labels = np.kron(rng.choice([0, 1, 3, 8, 255], (3, 4)), np.ones((24, 24))).astype(np.uint8)
            image = np.stack([labels * 20, 255 - labels, labels * 7], -1).astype(np.uint8)
            folder = tmp_path / "set" / "camvid" / split
            Image.fromarray(image).save(folder / "images" / f"{number}.png")
            Image.fromarray(labels).save(folder / "labels" / f"{number}.png")
    return tmp_path / "set"


@pytest.mark.pipeline
def test_coarse_labels_teach_a_network_that_is_scored(here, camvid_root):
    flags = ["--dataset", "camvid", "--data-root", camvid_root, "--method", "coarse", "--processes", 1]
    flags += ["--IndexDataset-train-folder", "train", "--IndexDataset-evaluation-folder", "val"]
    settings = ["--settings", json.dumps({"CoarsenMasks": {"radius": 4}})]
    first = here.luigi("RunAll", *flags, *settings)
    assert first.returncode == 0, first.stderr
    started = re.findall(r"(\S+): started", first.stderr)
    assert {"CoarsenMasks", "TrainCoarse", "PredictMasks-evaluation"} < set(started)
    assert not {"TrainClassifier", "ExtractCams", "DiscoverSuperpixels"} & set(started)
    (scores,) = (here.artifacts / "camvid/EvaluateMasks").glob("*/scores.json")
    found = json.loads(scores.read_text())
    assert set(found) == {"coarse_labels", "predictions"}
    assert found["coarse_labels"]["miou_of_labelled"] == 100
    assert 10 < found["coarse_labels"]["labelled"] < 90
    assert 0 <= found["predictions"]["boundary_recall"] <= 100
    (report,) = (here.artifacts / "camvid/WriteReport").glob("*/report.html")
    for title in ("coarse label", "learned superpixels", "prediction"):
        assert f"<figcaption>{title}</figcaption>" in report.read_text()
    again = here.luigi("RunAll", *flags, *settings)
    assert "nothing was run" in again.stderr
