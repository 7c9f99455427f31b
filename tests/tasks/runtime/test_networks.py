import luigi
import pytest
import torch
from safetensors.torch import save_file

from data.errors import SettingError
from tasks.predict_masks import PredictMasks
from tasks.runtime.networks import build_classifier, build_segmenter, start_from_classifier
from tasks.train_classifier import TrainClassifier
from tasks.train_segmenter import TrainSegmenter


@pytest.fixture
def common(in_process, bop_root, tmp_path):
    return {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}


@pytest.mark.parametrize("head", ["gap", "seam", "vit", "dilated"])
def test_the_segmenter_begins_with_the_classifiers_backbone(common, head, monkeypatch, tmp_path):
    trained = TrainClassifier(**common, head=head)
    classifier = build_classifier(trained, 3, pretrained=False)
    save_file(classifier.state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr(TrainClassifier, "network", lambda stage: build_classifier(stage, 3, pretrained=False))
    monkeypatch.setattr(type(trained.artifact), "read", lambda self, name: (tmp_path / name).read_bytes())
    segmenter = build_segmenter(TrainSegmenter(**common), 3, pretrained=False)
    start_from_classifier(segmenter, trained)
    learnt = classifier.pretrained_network().state_dict()
    assert all(torch.equal(value, learnt[name]) for name, value in segmenter.backbone.state_dict().items())
    luigi.configuration.get_config().set("TrainSegmenter", "backbone", "test_resnet")
    luigi.task_register.Register.clear_instance_cache()
    other = build_segmenter(TrainSegmenter(**common), 3, pretrained=False)
    with pytest.raises(SettingError, match="--TrainSegmenter-start pretrained"):
        start_from_classifier(other, trained)


def test_where_it_begins_says_what_it_requires(common):
    assert TrainClassifier in map(type, TrainSegmenter(**common, start="classifier").stages_above())
    assert TrainClassifier not in map(type, TrainSegmenter(**common, start="pretrained").stages_above())


def test_the_scales_of_one_split_do_not_concern_the_other(common):
    train, other = (PredictMasks(**common, train_scales=scales, split="train") for scales in ((1.0,), (2.0,)))
    assert train.identity != other.identity
    first, second = (PredictMasks(**common, train_scales=scales, split="evaluation") for scales in ((1.0,), (2.0,)))
    assert first.identity == second.identity
