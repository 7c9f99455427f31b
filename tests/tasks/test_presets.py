import pytest

import pipeline
from tasks.index_dataset import IndexDataset
from tasks.methods import METHODS
from tasks.predict_masks import PredictMasks
from tasks.presets import METHOD_DEFAULTS, PROFILES
from tasks.train_by_masking import TrainByMasking

SOURCES = {**{name: profile.settings for name, profile in PROFILES.items()}, **METHOD_DEFAULTS}
ENTRIES = [(p, s, n) for p, stages in SOURCES.items() for s, values in stages.items() for n in values]


@pytest.mark.parametrize(("source", "stage", "name"), ENTRIES)
def test_every_entry_is_a_parameter_and_a_legal_value(source, stage, name):
    parameters = dict(getattr(pipeline, stage).get_params())
    value = SOURCES[source][stage][name]
    assert parameters[name].parse(parameters[name].serialize(value)) == value


def test_every_paper_says_what_it_reports_and_how_it_goes():
    assert {name for name, profile in PROFILES.items() if not profile.published} == {"small"}
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
