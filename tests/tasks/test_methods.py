"""Every method of the registry names stages that exist, and only what can be scored."""

import pytest

from data.errors import SettingError
from tasks.evaluate_masks import RESULTS
from tasks.methods import METHODS, labels_stage, trainer
from tasks.runtime.image_stage import ImageStage, SplitStage
from tasks.runtime.training_stage import TrainingStage


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_well_formed(name):
    method = METHODS[name]
    if method.trainer:
        assert issubclass(trainer(name), TrainingStage)
    assert issubclass(labels_stage(name), SplitStage)
    assert all(issubclass(stage, (ImageStage, TrainingStage)) for stage in method.stage_classes().values())
    assert set(method.results) <= set(RESULTS)
    assert "predictions" in method.results


def test_a_method_without_training_has_no_network():
    with pytest.raises(SettingError, match="trains no network.*--method superpixel, masking, coarse"):
        trainer("match")
