import numpy as np
import pytest
import torch

from data.errors import SettingError, StoreError
from data.sample import EVALUATION, TRAIN, Sample
from models import crf_constants
from tasks import predict_masks
from tasks.index_dataset import IndexDataset
from tasks.methods import METHODS
from tasks.predict_masks import UNLIKELY, Candidates, PredictMasks
from tasks.runtime.luigi_seam import forget_instances
from tasks.runtime.shards import ImageInputs
from tasks.runtime.trained_model import TrainedArtifact


@pytest.fixture
def sample(tmp_path):
    return Sample("0", TRAIN, tmp_path / "0.png", (255, 300), size=(2, 2))


def test_classes_above_a_byte_keep_their_numbers(in_process, sample):
    stage = PredictMasks(dataset="demo", crf="none")
    probabilities = torch.full((1204, 2, 2), 1e-4)
    for place, number in enumerate((0, 255, 300, 44)):
        probabilities[number].view(-1)[place] = 0.5
    classes = stage._candidates(sample, probabilities)
    assert classes.tolist() == [0, 255, 300]
    found = Candidates(probabilities[classes].half().numpy(), classes.numpy(), None, np.array([1, 1], np.int32))
    results = stage.compute(sample, ImageInputs({}, 0, (2, 2), 1203, found))
    label = results["label"]
    assert results["tag_pixels"].tolist() == [1, 1]
    assert label.dtype == np.uint16
    assert label.flatten()[:3].tolist() == [0, 255, 300]
    assert 44 not in label


def test_the_best_class_is_never_left_out(in_process, sample):
    stage = PredictMasks(dataset="demo", crf="none", split=EVALUATION)
    probabilities = torch.full((1204, 2, 2), 1e-4)
    probabilities[300, 0] = UNLIKELY / 2
    probabilities[44, 1] = 0.5
    assert stage._candidates(sample, probabilities).tolist() == [0, 44, 300]


def test_a_vote_needs_depth_of_the_same_split_and_is_another_artifact(in_process, bop_root, tmp_path):
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}
    plain, voted = (PredictMasks(**common, split="evaluation", vote=vote) for vote in ("none", "depth"))
    assert plain.identity != voted.identity
    assert voted.required["depth"].label == "LoadDepth-evaluation"


def test_the_scales_of_one_split_do_not_concern_the_other(in_process, bop_root):
    common = {"dataset": "bop", "data_root": str(bop_root)}
    train, other = (PredictMasks(**common, train_scales=scales, split="train") for scales in ((1.0,), (2.0,)))
    assert train.identity != other.identity
    first, second = (PredictMasks(**common, train_scales=scales, split="evaluation") for scales in ((1.0,), (2.0,)))
    assert first.identity == second.identity


def test_the_engine_of_the_crf_fits_the_machine_unless_told_otherwise(in_process, bop_root, tmp_path, monkeypatch):
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}
    assert PredictMasks(**common).crf_engine == crf_constants.installed_engine()
    assert PredictMasks(**common, crf_engine="auto").identity == PredictMasks(**common).identity
    monkeypatch.setattr(predict_masks, "has_gpu", lambda device: device != "cpu")
    forget_instances()
    assert PredictMasks(**common).crf_engine == "torch"
    assert PredictMasks(**common, device="cpu").crf_engine == crf_constants.installed_engine()
    monkeypatch.setattr(predict_masks, "has_gpu", lambda device: False)
    monkeypatch.setattr(crf_constants, "find_spec", lambda name: None)
    forget_instances()
    assert PredictMasks(**common).crf_engine == "torch"
    assert PredictMasks(**common, crf_engine="pydensecrf").crf_engine == "pydensecrf"


@pytest.mark.parametrize("method", [name for name, found in METHODS.items() if not found.trainer])
def test_a_model_from_elsewhere_does_not_make_a_method_train(in_process, bop_root, tmp_path, method):
    """It once failed at the end of the run, when the warning about classes without pixels named the training."""
    with pytest.raises(SettingError, match="this method trains no network"):
        _ = PredictMasks(dataset="bop", data_root=str(bop_root), model=str(tmp_path), method=method).required


def test_a_model_from_elsewhere_that_changes_during_the_run_is_told(in_process, bop_root, tmp_path):
    model = TrainedArtifact(tmp_path / "model")
    model.path.mkdir()

    def train(content):
        model.discard()
        model.path.mkdir()
        for name in ("model.json", "model.safetensors"):
            (model.path / name).write_bytes(content)
        model.finish({})

    train(b"one")
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}
    stage = PredictMasks(**common, model=str(model.path))
    IndexDataset(**common).run()
    identity = stage.identity
    watched, parents = stage._begin()
    stage._require_unchanged(watched, parents)
    train(b"other")
    with pytest.raises(
        StoreError, match="the model has changed while PredictMasks-train used it; run the command again"
    ):
        stage._require_unchanged(watched, parents)
    assert not stage.artifact.path.exists()
    forget_instances()
    assert PredictMasks(**common, model=str(model.path)).identity != identity
