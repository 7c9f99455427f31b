"""Every method of the registry names stages that exist, and only what can be scored."""

import pytest

from tasks.evaluate_masks import RESULTS
from tasks.methods import METHODS, trainer
from tasks.runtime.image_stage import ImageStage
from tasks.runtime.training_stage import TrainingStage


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_well_formed(name):
    method = METHODS[name]
    assert issubclass(trainer(name), TrainingStage)
    assert all(issubclass(stage, (ImageStage, TrainingStage)) for stage in method.stage_classes().values())
    assert set(method.results) <= set(RESULTS)
    assert "predictions" in method.results
