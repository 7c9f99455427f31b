"""A loss of the registry needs no line in a stage: every setting is a parameter, with its default and condition."""

import luigi
import pytest

from models.losses import MAP_LOSSES
from models.losses.map_loss import MapLoss, Setting
from tasks.runtime import loss_parameters
from tasks.runtime.loss_parameters import active_losses, loss_settings, with_map_losses
from tasks.runtime.luigi_seam import choices_of, default_value
from tasks.runtime.numeric import NumberParameter, WholeParameter
from tasks.runtime.parameters import described, matters
from tasks.train_classifier import TrainClassifier

LOSSES = {
    "calm": MapLoss(
        "no.such.module:Calm",
        title="calm loss",
        inputs=("cams",),
        published_weight=1.0,
        weight=0.5,
        settings={
            "reach": Setting(3, "cells", at_least=1),
            "slope": Setting(0.5, "per cell", above=0, at_most=2),
            "edges": Setting("soft", "kind of edge", choices=("soft", "hard")),
        },
    ),
    "bold": MapLoss(
        "no.such.module:Bold", title="bold loss", inputs=("maps",), published_weight=0.2, replaces_classification=True
    ),
}


class TrainCalmly(luigi.Task):
    """A task that luigi knows once, whatever the number of tests."""


@pytest.fixture
def stage(monkeypatch):
    monkeypatch.setattr(loss_parameters, "MAP_LOSSES", LOSSES)
    return with_map_losses(TrainCalmly)


def test_each_loss_has_a_weight_and_its_settings(stage):
    kinds = {name: type(parameter) for name, parameter in stage.get_params()}
    assert kinds == {
        "calm_weight": NumberParameter,
        "calm_reach": WholeParameter,
        "calm_slope": NumberParameter,
        "calm_edges": luigi.ChoiceParameter,
        "bold_weight": NumberParameter,
    }
    assert loss_settings(stage(), "calm") == {"reach": 3, "slope": 0.5, "edges": "soft"}
    assert set(choices_of(stage.calm_edges)) == {"soft", "hard"}
    assert (str(stage.calm_reach.legal), str(stage.calm_slope.legal)) == ("at least 1", "above 0, at most 2")
    assert described(stage, "calm_weight") == "weight of the calm loss, 0 = off; at least 0"
    assert described(stage, "bold_weight") == "share of the bold loss in the classification loss, 0 = off; from 0 to 1"


def test_settings_matter_where_the_weight_is_not_zero(stage):
    assert matters(stage(), "calm_reach")
    assert not matters(stage(calm_weight=0.0), "calm_reach")
    assert matters(stage(calm_weight=0.0), "calm_weight")


def test_losses_in_use_have_a_weight(stage):
    assert active_losses(stage()) == {"calm": 0.5}
    assert active_losses(stage(bold_weight=0.1)) == {"calm": 0.5, "bold": 0.1}
    assert active_losses(stage(calm_weight=0.0)) == {}


@pytest.mark.parametrize("name", MAP_LOSSES)
def test_the_classifier_has_every_loss_of_the_registry(name):
    loss = MAP_LOSSES[name]
    assert default_value(getattr(TrainClassifier, f"{name}_weight")) == loss.weight
    for keyword, setting in loss.settings.items():
        parameter = getattr(TrainClassifier, f"{name}_{keyword}")
        assert default_value(parameter) == setting.default
        assert set(choices_of(parameter)) == set(setting.choices)
        assert parameter.description.startswith(setting.description)
    built = loss.build(**{keyword: setting.default for keyword, setting in loss.settings.items()})
    assert callable(built)
