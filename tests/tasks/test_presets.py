import pytest
import torch

import pipeline
from models.cam import build_classifier
from models.features import build_key_extractor
from models.segmentation.deeplab import DeepLabAspp
from tasks.discover_superpixels import DiscoverSuperpixels
from tasks.index_dataset import IndexDataset
from tasks.methods import METHODS
from tasks.predict_masks import PredictMasks
from tasks.presets import METHOD_DEFAULTS, PROFILES
from tasks.train_by_masking import TrainByMasking
from tasks.train_classifier import TrainClassifier
from tasks.train_segmenter import TrainSegmenter

SOURCES = {**{name: profile.settings for name, profile in PROFILES.items()}, **METHOD_DEFAULTS}
ENTRIES = [(p, s, n) for p, stages in SOURCES.items() for s, values in stages.items() for n in values]


@pytest.mark.parametrize(("source", "stage", "name"), ENTRIES)
def test_every_entry_is_a_parameter_and_a_legal_value(source, stage, name):
    parameters = dict(getattr(pipeline, stage).get_params())
    value = SOURCES[source][stage][name]
    assert parameters[name].parse(parameters[name].serialize(value)) == value


def test_every_paper_says_what_it_reports_and_how_it_goes():
    assert {name for name, profile in PROFILES.items() if not profile.published} == {"small", "large"}
    assert {profile.method for profile in PROFILES.values()} <= set(METHODS)


def test_the_papers_constants():
    paper = PROFILES["voc-superpixel"].settings
    assert paper["DiscoverSuperpixels"]["tau"] == 0.3
    assert paper["GenerateSeeds"]["alpha"] == 0.6
    assert (paper["TrainSegmenter"]["beta_bg"], paper["TrainSegmenter"]["beta_fg"]) == (0.7, 0.7)
    assert paper["TrainSegmenter"]["crop_size"] == 448
    assert paper["ExtractKeys"]["backbone"] == "vit_base_patch8_224.dino"
    masking = PROFILES["voc-masking"].settings
    assert (masking["RefineSaliency"]["sure"], masking["RefineSaliency"]["doubtful"]) == (0.8, 0.3)
    assert (masking["TrainByMasking"]["attention_weight"], masking["TrainByMasking"]["epochs"]) == (2.0, 30)
    assert masking["TrainByMasking"]["crop_size"] == masking["TrainClassifier"]["crop_size"] == 321


def test_a_profile_brings_its_method_unless_another_is_named(in_process, bop_root):
    common = {"dataset": "bop", "data_root": str(bop_root)}
    prediction = PredictMasks(**common, profile="voc-masking")
    assert prediction.method == "masking"
    assert list(map(type, prediction.required.values())) == [IndexDataset, TrainByMasking]
    assert PredictMasks(**common, profile="voc-masking", method="superpixel").method == "superpixel"
    assert PredictMasks(**common).method == "superpixel"


def test_a_paper_trains_as_many_epochs_as_it_says():
    for name, profile in PROFILES.items():
        for stage, values in profile.settings.items():
            if profile.published and stage.startswith("Train"):
                assert (values["least_steps"], values["rare_share"]) == (0, 0), (name, stage)


def test_the_networks_of_the_large_profile_fit_together():
    """Random weights, small images: the shapes, one training step, and the backbone of the classifier as a start."""
    large = PROFILES["large"].settings
    classifying, segmenting, keys = (large[name] for name in ("TrainClassifier", "TrainSegmenter", "ExtractKeys"))
    with torch.device("meta"):  # shapes alone
        extractor = build_key_extractor(keys["backbone"], 16)
        found = extractor(torch.zeros(1, 3, 90, 120))
        classifier = build_classifier(3, "gap", classifying["backbone"], classifying["output_stride"])
        segmenter = DeepLabAspp.build(3, segmenting["backbone"], segmenting["output_stride"], (1, 2, 4, 6))
        images, tags = torch.zeros(2, 3, 64, 96), torch.zeros(2, 3)
        output = classifier(images)
        sum(classifier.classification_losses(images, tags, output).values()).backward()
        assert segmenter(images).shape == (2, 4, 4, 6)
    assert found.shape == (1, 7, 9, 768)
    assert output.maps.shape == (2, 3, 4, 6)
    assert all(parameter.grad is not None for parameter in classifier.parameters())
    segmenter.backbone.load_state_dict(classifier.pretrained_network().state_dict(), assign=True)


def test_the_large_profile_keeps_what_is_ours(in_process, bop_root):
    common = {"dataset": "bop", "data_root": str(bop_root), "profile": "large"}
    superpixels, segmenter = DiscoverSuperpixels(**common), TrainSegmenter(**common)
    classifier = segmenter.upstream(TrainClassifier)
    assert (superpixels.units, superpixels.depth_weight > 0, segmenter.paste > 0) == ("cells", True, True)
    assert (classifier.deal_edges, classifier.deal_weight > 0) == ("curvature", True)
    assert classifier.backbone == segmenter.backbone
    assert PredictMasks(**common, precision="bf16").resolved_precision == "bf16"
