"""Grids of parameters: which variants of the pipeline an ablation compares."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from data.errors import SettingError

Settings = Mapping[str, Mapping[str, object]]
"""stage -> parameter -> value"""

LOSSES: dict[str, Settings] = {
    "none": {"TrainClassifier": {"deal_weight": 0, "isl_weight": 0, "fsl_weight": 0}},
    "deal": {"TrainClassifier": {"isl_weight": 0, "fsl_weight": 0}},
    "isl+fsl": {"TrainClassifier": {"deal_weight": 0, "isl_weight": 0.2, "fsl_weight": 1}},
    "all": {"TrainClassifier": {"isl_weight": 0.2, "fsl_weight": 1}},
}
"""Combinations of the losses on the maps; DEAL has the weight that the stage is set to, ISL and FSL the papers'."""

HEADS: dict[str, Settings] = {
    "gap": {"TrainClassifier": {"head": "gap"}},
    "seam": {"TrainClassifier": {"head": "seam"}},
    "vit": {"TrainClassifier": {"head": "vit"}},
    "dilated": {"TrainClassifier": {"head": "dilated"}},
}


@dataclass(frozen=True)
class Variant:
    """One point of a grid.

    Attributes
    ----------
    values : dict of axis -> name of the value on it
    settings : stage -> parameter -> value
    method : str
        Empty: that of the comparison.
    """

    values: dict[str, str]
    settings: dict[str, dict[str, object]]
    method: str = ""

    @property
    def name(self) -> str:
        return ", ".join(self.values.values()) or "as set"


def merged(parts: Iterable[Settings]) -> dict[str, dict[str, object]]:
    """One table of settings; where two name the same parameter, the later one holds."""
    whole: dict[str, dict[str, object]] = {}
    for settings in parts:
        for stage, values in settings.items():
            whole.setdefault(stage, {}).update(values)
    return whole


def parse_vary(text: str) -> dict[str, dict[str, Settings]]:
    """Axes from ``Stage.parameter=value,value;Stage.parameter=value,value``.

    Raises
    ------
    SettingError
        If the text is not of this form.
    """
    axes: dict[str, dict[str, Settings]] = {}
    for part in filter(None, text.split(";")):
        name, equals, values = part.strip().partition("=")
        stage, point, parameter = name.partition(".")
        if not (equals and point and values):
            raise SettingError(f"'{part}' is no axis of a grid; write Stage.parameter=value,value")
        axes[name] = {value: {stage: {parameter: value}} for value in values.split(",")}
    return axes


def read_grid(path: Path) -> dict[str, dict[str, Settings]]:
    """Axes from a TOML file of tables ``[axis.value.Stage]`` that hold parameters.

    Raises
    ------
    SettingError
        If the file cannot be read or is of another form.
    """
    try:
        axes = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"{path}: is no grid ({error}); write tables [axis.value.Stage] with parameters") from error
    for axis, values in axes.items():
        if not isinstance(values, dict) or not all(
            isinstance(settings, dict) and all(isinstance(table, dict) for table in settings.values())
            for settings in values.values()
        ):
            raise SettingError(f"{path}: axis '{axis}' is no table of values; write [axis.value.Stage] with parameters")
    return axes


def variants(axes: Mapping[str, Mapping[str, Settings]]) -> list[Variant]:
    """All combinations of the axes' values, the last axis running fastest."""
    points = itertools.product(*([(axis, name) for name in values] for axis, values in axes.items()))
    return [Variant(dict(point), merged(axes[axis][name] for axis, name in point)) for point in points]
