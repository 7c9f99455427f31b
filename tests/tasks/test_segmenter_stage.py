import luigi
import pytest
import torch
from safetensors.torch import save

from data.errors import SettingError
from data.store.artifact import write_bytes
from models.cam import HEADS
from tasks.index_dataset import IndexDataset
from tasks.runtime.luigi_seam import forget_instances
from tasks.runtime.networks import build_network
from tasks.runtime.trained_model import MODEL
from tasks.train_by_masking import TrainByMasking
from tasks.train_classifier import TrainClassifier
from tasks.train_segmenter import TrainSegmenter

STAGES = [TrainSegmenter, TrainByMasking]


@pytest.fixture
def common(in_process, bop_root, tmp_path):
    return {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}


def untrained(stage):
    """The artifact of a classifier that has learned nothing; its network."""
    classes = stage.inputs["dataset"].class_names
    network = build_network(stage.network, len(classes) - 1, stage.network_settings())
    stage.artifact.describe(stage.network, stage.network_settings(), classes, stage.backbone, (8, 8))
    write_bytes(stage.artifact.path / MODEL, save(network.state_dict()))
    stage.artifact.finish({})
    return network


@pytest.mark.parametrize("head", HEADS)
def test_the_segmenter_begins_with_the_classifiers_backbone(common, head):
    common["settings"] = {"TrainClassifier": {"head": head}}
    IndexDataset(**common).run()
    classifier = untrained(TrainClassifier(**common))
    learned = classifier.pretrained_network().state_dict()
    for stage in STAGES:
        segmenter = stage(**common, start="classifier").new_network()
        assert segmenter.backbone.state_dict().keys() == learned.keys()
        assert all(torch.equal(value, learned[name]) for name, value in segmenter.backbone.state_dict().items())


@pytest.mark.parametrize("stage", STAGES)
def test_another_backbone_than_the_classifiers_is_refused_before_anything_runs(common, stage):
    luigi.configuration.get_config().set(stage.__name__, "backbone", "test_resnet")
    forget_instances()
    with pytest.raises(SettingError, match=f"--{stage.__name__}-start pretrained"):
        _ = stage(**common, start="classifier").identity
    assert stage(**common, start="pretrained").identity


@pytest.mark.parametrize("stage", STAGES)
def test_weights_that_are_not_loaded_need_not_be_there(common, stage):
    nowhere = {"weights": "/nowhere/w.pth", "start": "classifier"}
    assert stage(**common, **nowhere).identity == stage(**common, start="classifier").identity


def test_where_it_begins_says_what_it_requires(common):
    assert type(TrainSegmenter(**common, start="classifier").required["classifier"]) is TrainClassifier
    assert "classifier" not in TrainSegmenter(**common, start="pretrained").required
    without_attention = {"start": "pretrained", "attention_weight": 0.0}
    assert "classifier" not in TrainByMasking(**common, **without_attention).required


def test_logits_at_each_scale_have_the_size_of_the_labels(common):
    stage = TrainSegmenter(**common, input_scales=(1.0, 0.5))
    seen = []
    network = lambda images: seen.append(tuple(images.shape[-2:])) or images[:, :1, ::8, ::8]  # noqa: E731
    logits = stage.logits_at_scales(network, torch.rand(2, 3, 32, 48), (32, 48))
    assert seen == [(32, 48), (16, 24)]
    assert [tuple(values.shape) for values in logits] == [(2, 1, 32, 48)] * 2
