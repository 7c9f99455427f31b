"""Parameters of the losses on the classifier's maps, made from `MAP_LOSSES`. A new loss needs no line in a stage."""

from __future__ import annotations

from typing import Any

import luigi

from models.losses import MAP_LOSSES
from models.losses.map_loss import Setting
from tasks.runtime.luigi_seam import add_parameter
from tasks.runtime.numeric import NumberParameter, Range, WholeParameter, number
from tasks.runtime.parameters import nonzero, one_of, only


def with_map_losses(stage: type[luigi.Task]) -> type[luigi.Task]:
    """Give a stage the parameters ``<loss>_weight`` and ``<loss>_<setting>`` of every loss of `MAP_LOSSES`."""
    for name, loss in MAP_LOSSES.items():
        if loss.replaces_classification:
            meaning = f"share of the {loss.title} in the classification loss, 0 = off"
            weight = number(loss.weight, meaning, at_least=0, at_most=1)
        else:
            weight = number(loss.weight, f"weight of the {loss.title}, 0 = off", at_least=0)
        add_parameter(stage, f"{name}_weight", weight)
        for keyword, setting in loss.settings.items():
            add_parameter(stage, f"{name}_{keyword}", only(_parameter(setting), **{f"{name}_weight": nonzero}))
    return stage


def active_losses(stage: luigi.Task) -> dict[str, float]:
    """The losses whose weight is not 0 in a stage: name -> weight, in the order of the registry."""
    weights = {name: getattr(stage, f"{name}_weight") for name in MAP_LOSSES}
    return {name: weight for name, weight in weights.items() if weight}


def loss_settings(stage: luigi.Task, name: str) -> dict[str, object]:
    """The settings of a loss in a stage: keyword of the loss -> value."""
    return {keyword: getattr(stage, f"{name}_{keyword}") for keyword in MAP_LOSSES[name].settings}


def _parameter(setting: Setting) -> luigi.Parameter[Any]:
    if isinstance(setting.default, str):
        return one_of(setting.choices, setting.default, setting.description)
    legal = Range(setting.at_least, setting.above, setting.at_most)
    if isinstance(setting.default, int):
        return WholeParameter(setting.default, setting.description, legal)
    return NumberParameter(setting.default, setting.description, legal)
