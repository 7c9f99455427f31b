"""A run at a chosen size: all stages see small images, scores and exported masks have the size of the files."""

import json

import numpy as np
import pytest
from PIL import Image

from data.store.sharded import ShardedStore


@pytest.mark.pipeline
def test_a_run_at_half_the_size_gives_masks_of_the_full_size(here):
    size = ("--IndexDataset-size", 96, "--processes", 1)
    result = here.luigi("RunAll", *size)
    assert result.returncode == 0, result.stderr
    for stage, array in (("LoadDepth", "depth"), ("GenerateSeeds", "seed"), ("PredictMasks", "label")):
        store = ShardedStore(next(here.artifacts.glob(f"bop/{stage}/*.zarr")))
        assert store.array(array).shape[1:] == (72, 96)
    assert here.luigi("ExportLabels", *size, "--formats", "png").returncode == 0
    pictures = list(here.artifacts.glob("bop/ExportLabels/*/png/**/*.png"))
    assert len(pictures) == 10
    assert {np.asarray(Image.open(path)).shape for path in pictures} == {(144, 192)}
    result = here.luigi("ExportInstances", *size, "--formats", "png")
    assert result.returncode == 0, result.stderr
    picture = next(here.artifacts.glob("bop/ExportInstances/*/png/**/*.png"))
    assert np.asarray(Image.open(picture)).shape == (144, 192)
    result = here.luigi("EvaluateMasks", "--IndexDataset-size", 5)
    assert "--IndexDataset-size is 5; set it to 0 or at least 32" in result.stderr
    pytest.importorskip("onnxruntime")
    result = here.luigi("ExportModel", *size)
    assert result.returncode == 0, result.stderr
    (folder,) = here.artifacts.glob("bop/ExportModel/*")
    assert json.loads((folder / "labels.json").read_text())["size"] == 96
    assert "images had at most 96 pixels on the longer side" in (folder / "README.md").read_text()


@pytest.mark.pipeline
def test_scores_are_counted_at_the_size_of_the_files(here):
    assert here.luigi("EvaluateMasks", "--IndexDataset-size", 96, "--processes", 1).returncode == 0
    scores = json.loads(next(here.artifacts.glob("bop/EvaluateMasks/*/scores.json")).read_text())
    for result in ("pseudo_labels", "cam_seed"):
        assert np.sum(scores[result]["confusion"]) == 10 * 144 * 192
