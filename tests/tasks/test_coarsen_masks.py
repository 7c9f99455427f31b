"""Coarse labels made from fine masks and those that a set comes with."""

import json

import numpy as np
import pytest
from PIL import Image

from data.errors import DatasetError, QualityError
from data.sample import UNLABELLED
from models.coarsen import erode_labels
from tasks.coarsen_masks import CoarsenMasks
from tasks.index_dataset import IndexDataset
from tasks.runtime.luigi_seam import forget_instances
from tasks.train_coarse import TrainCoarse


@pytest.fixture
def folder(tmp_path):
    """Two images of a mug, with fine masks and no coarse ones."""
    root = tmp_path / "set"
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    mask = np.zeros((40, 50), np.uint8)
    mask[10:30, 15:35] = 1
    for index in range(2):
        Image.fromarray(np.full((40, 50, 3), 80, np.uint8)).save(root / "images" / f"{index}.jpg")
        Image.fromarray(mask).save(root / "masks" / f"{index}.png")
    (root / "labels.csv").write_text("image,tags,split\n0.jpg,mug,train\n1.jpg,mug,evaluation\n")
    return root, mask


@pytest.fixture
def common(in_process, folder, tmp_path):
    return {
        "dataset": "folder", "data_root": str(folder[0]), "artifacts": str(tmp_path / "artifacts"), "processes": 1,
        "method": "coarse",
    }  # fmt: skip


def made(common, **parameters):
    forget_instances()
    IndexDataset(**common).run()
    stage = CoarsenMasks(**common, **parameters)
    stage.run()
    return stage.artifact.read_image("label", 0)


def test_fine_masks_are_eroded_and_another_mask_is_another_identity(common, folder):
    root, mask = folder
    assert np.array_equal(made(common, radius=4.0), erode_labels(mask.astype(np.uint16), 4.0))
    before = CoarsenMasks(**common, radius=4.0).identity
    assert CoarsenMasks(**common, radius=5.0).identity != before
    Image.fromarray(mask.T[:40, :40].repeat(2, 1)[:, :50].copy()).save(root / "masks/0.png")
    forget_instances()
    assert CoarsenMasks(**common, radius=4.0).identity != before


def test_given_labels_may_be_a_map_or_polygons(common, folder):
    root, mask = folder
    (root / "coarse").mkdir()
    square = [[18, 12], [30, 12], [30, 26], [18, 26]]
    (root / "coarse/0.json").write_text(json.dumps({"shapes": [{"label": "mug", "points": square}]}))
    found = made(common, source="given")
    assert found[20, 20] == 1
    assert found[0, 0] == UNLABELLED
    Image.fromarray(np.where(mask, 1, 255).astype(np.uint8)).save(root / "coarse/0.png")
    assert np.array_equal(made(common, source="given"), np.where(mask, 1, UNLABELLED))


def test_what_is_missing_is_named(common, folder):
    root, _ = folder
    with pytest.raises(DatasetError, match=r"train/0: has no coarse annotation; .*CoarsenMasks-source fine"):
        made(common, source="given")
    (root / "masks/0.png").unlink()
    with pytest.raises(DatasetError, match=r"train/0: has no fine mask .*CoarsenMasks-source given"):
        made(common)


def test_a_set_without_any_label_is_of_no_use(common, folder):
    root, mask = folder
    Image.fromarray(np.full_like(mask, 255)).save(root / "masks/0.png")
    with pytest.raises(QualityError, match="CoarsenMasks: no pixel of . images is labelled, so nothing can be learnt"):
        made(common)


def test_an_image_without_any_label_is_learned_from_without_harm(common, folder, monkeypatch):
    """An all-void mask: no labelled pixel in the whole batch, and a loss that is a number."""
    root, mask = folder
    monkeypatch.setattr(CoarsenMasks, "findings", lambda self: [])
    Image.fromarray(np.full_like(mask, 255)).save(root / "masks/0.png")
    assert (made(common) == UNLABELLED).all()
    stage = TrainCoarse(**common, crop_size=32, epochs=1, slic_weight=0.1)
    stage.run()
    history = json.loads((stage.artifact.path / "history.json").read_text())
    assert history[0]["classification"] == 0
    assert np.isfinite(history[0]["loss"])
    assert history[0]["slic"] > 0
