"""Grids of parameters: the variants of the pipeline that an Ablation compares."""

from __future__ import annotations

import itertools
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from data.errors import SettingError
from data.files.regular_file import check_regular
from models.cam import HEADS
from models.losses import MAP_LOSSES

Settings = Mapping[str, Mapping[str, object]]
"""stage -> parameter -> value"""

Axes = Mapping[str, Mapping[str, Settings]]
"""axis -> name of a value -> settings"""

NO_LOSS, ALL_LOSSES = "none", "all"


def loss_settings(text: str, weights: Mapping[str, float]) -> Settings:
    """The settings of a combination of losses on the maps.

    Parameters
    ----------
    text : str
        Names of `models.losses.MAP_LOSSES` joined by ``+``, or ``none``, or ``all``.
    weights : dict of loss -> float
        The weights in TrainClassifier. A loss with weight 0 there gets the weight of its paper.

    Raises
    ------
    SettingError
        If a name is unknown.
    """
    names = {NO_LOSS: [], ALL_LOSSES: list(MAP_LOSSES)}.get(text, text.split("+"))
    for name in names:
        if name not in MAP_LOSSES:
            known = (NO_LOSS, *MAP_LOSSES, ALL_LOSSES)
            raise SettingError(f"losses '{name}' is unknown; use {', '.join(known)}, or names joined by +")
    return {
        "TrainClassifier": {
            f"{name}_weight": (weights[name] or loss.published_weight) if name in names else 0.0
            for name, loss in MAP_LOSSES.items()
        }
    }


def head_settings(name: str) -> Settings:
    """The settings of a CAM head; SettingError for an unknown name."""
    if name not in HEADS:
        raise SettingError(f"heads '{name}' is unknown; use {', '.join(HEADS)}")
    return {"TrainClassifier": {"head": name}}


@dataclass(frozen=True)
class Variant:
    """One point of a grid.

    Attributes
    ----------
    values : dict of axis -> name of the value on it
    settings : stage -> parameter -> value
    method : str
        Empty = the method of the comparison.
    """

    values: dict[str, str]
    settings: dict[str, dict[str, object]]
    method: str = ""

    @property
    def name(self) -> str:
        """Name in tables and charts: the values of all axes."""
        return ", ".join(self.values.values()) or "as set"


def merged(parts: Iterable[Settings]) -> dict[str, dict[str, object]]:
    """One table of settings. If two parts set the same parameter, the later part wins."""
    whole: dict[str, dict[str, object]] = {}
    for settings in parts:
        for stage, values in settings.items():
            whole.setdefault(stage, {}).update(values)
    return whole


def parse_vary(text: str) -> Axes:
    """Axes from ``Stage.parameter=value,value;Stage.parameter=value,value``: axis -> name of a value -> settings.

    Raises
    ------
    SettingError
        If the text is not of this form, or two axes have the same name.
    """
    return joined(_parsed_axis(part) for part in text.split(";") if part)


def _parsed_axis(text: str) -> Axes:
    name, equals, values = text.strip().partition("=")
    stage, point, parameter = name.partition(".")
    if not (equals and point and values):
        raise SettingError(f"'{text}' is not an axis of a grid; write Stage.parameter=value,value")
    return {name: {value: {stage: {parameter: value}} for value in values.split(",")}}


def read_grid(path: Path) -> Axes:
    """Axes from a TOML file of tables ``[axis.value.Stage]`` with parameters: axis -> name of a value -> settings.

    Raises
    ------
    SettingError
        If the file cannot be read or has another form.
    """
    try:
        check_regular(path)
        axes = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise SettingError(
            f"{path}: is not a grid ({error}); write tables [axis.value.Stage] with parameters"
        ) from error
    for axis, values in axes.items():
        if not (isinstance(values, dict) and values) or not all(
            isinstance(settings, dict) and all(isinstance(table, dict) for table in settings.values())
            for settings in values.values()
        ):
            raise SettingError(
                f"{path}: axis '{axis}' is not a table of values; write [axis.value.Stage] with parameters"
            )
    return axes


def joined(parts: Iterable[Axes]) -> Axes:
    """The axes of all parts; SettingError if two have the same name."""
    whole: dict[str, Mapping[str, Settings]] = {}
    for axes in parts:
        if twice := whole.keys() & axes.keys():
            raise SettingError(f"axis '{min(twice)}' of the grid is given twice; give all its values at one place")
        whole.update(axes)
    return whole


def variants(axes: Axes) -> list[Variant]:
    """All combinations of the values of all axes; the last axis changes fastest.

    Raises
    ------
    SettingError
        If two axes set the same parameter, or two variants would have the same name.
    """
    sets = {axis: _parameters_in(values.values()) for axis, values in axes.items()}
    for one, other in itertools.combinations(sets, 2):
        if both := sets[one] & sets[other]:
            raise SettingError(
                f"the axes '{one}' and '{other}' of the grid both set {min(both)}; leave one of them out (--losses - "
                "and --heads - leave these axes out)"
            )
    points = itertools.product(*([(axis, name) for name in values] for axis, values in axes.items()))
    found = [Variant(dict(point), merged(axes[axis][name] for axis, name in point)) for point in points]
    for name, count in Counter(variant.name for variant in found).items():
        if count > 1:
            raise SettingError(f"{count} variants of the grid have the name '{name}'; give values without a comma")
    return found


def _parameters_in(parts: Iterable[Settings]) -> set[str]:
    """All that some settings set, as ``Stage.parameter``."""
    return {f"{stage}.{parameter}" for settings in parts for stage, values in settings.items() for parameter in values}
