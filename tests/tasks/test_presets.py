import pytest

import pipeline
from tasks.presets import PROFILES

ENTRIES = [(p, s, n) for p, stages in PROFILES.items() for s, values in stages.items() for n in values]


@pytest.mark.parametrize(("profile", "stage", "name"), ENTRIES)
def test_every_entry_is_a_parameter_and_a_legal_value(profile, stage, name):
    parameters = dict(getattr(pipeline, stage).get_params())
    value = PROFILES[profile][stage][name]
    assert parameters[name].parse(parameters[name].serialize(value)) == value


def test_the_papers_constants():
    paper = PROFILES["paper"]
    assert paper["DiscoverSuperpixels"]["tau"] == 0.3
    assert paper["GenerateSeeds"]["alpha"] == 0.6
    assert (paper["TrainSegmenter"]["beta_bg"], paper["TrainSegmenter"]["beta_fg"]) == (0.7, 0.7)
    assert paper["TrainSegmenter"]["crop_size"] == 448
    assert paper["ExtractKeys"]["backbone"] == "vit_base_patch8_224.dino"
