"""The variants of tables 2.3 and 2.5, and that ground truth is not used unknowingly."""

import numpy as np
import pytest

from data.errors import DatasetError
from data.files.labels import read_truth
from data.sample import UNLABELLED, Sample
from tasks.index_dataset import IndexDataset
from tasks.refine_saliency import RefineSaliency, true_saliency
from tasks.runtime.quality import warnings_of


@pytest.fixture
def common(in_process, bop_root, tmp_path):
    found = {
        "dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts"), "processes": 1,
    }  # fmt: skip
    IndexDataset(**found).run()
    return found


def test_saliency_from_ground_truth_is_the_mask_of_all_objects_and_says_so(common):
    stage = RefineSaliency(ground_truth=True, **common)
    assert list(stage.required) == ["dataset"]
    stage.run()
    samples = IndexDataset(**common).read_with_truth().split("train")
    for index in (0, len(samples) - 1):
        truth = read_truth(samples[index], 5)
        assert truth.any()
        found = stage.artifact.read_image("salient", index, samples[index].size)
        assert np.array_equal(found, np.where(truth == UNLABELLED, UNLABELLED, truth > 0))
    assert any("GROUND TRUTH: scores are an upper bound" in line for line in warnings_of(stage.artifact))


def test_it_is_another_identity_that_follows_the_masks_and_the_default_knows_no_mask(common, monkeypatch):
    plain, true = RefineSaliency(**common), RefineSaliency(ground_truth=True, **common)
    assert not plain.ground_truth
    before = plain.identity, true.identity
    monkeypatch.setattr(IndexDataset, "fingerprint", lambda self, truth=False: f"masks changed {truth}")
    assert plain.content_identity() == {}
    assert true.content_identity() == {"masks": "masks changed True"}
    assert len(set(before)) == 2


def test_an_image_without_masks_is_named(tmp_path):
    with pytest.raises(DatasetError, match="train/7: has no ground truth to take saliency from"):
        true_saliency(Sample("train/7", "train", tmp_path / "7.jpg", (1,)), 3)


def test_what_is_ignored_stays_unlabelled(monkeypatch, tmp_path):
    monkeypatch.setattr("tasks.refine_saliency.read_truth", lambda *_: np.array([[0, 3, UNLABELLED]], np.uint16))
    assert true_saliency(Sample("a", "train", tmp_path, (3,)), 3).tolist() == [[0, 1, UNLABELLED]]
