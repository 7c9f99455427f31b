"""The parameter ``settings``: parameters of single stages as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import luigi

from data.errors import SettingError
from tasks.runtime.luigi_seam import registered_tasks
from tasks.runtime.parameters import nearest


class SettingsParameter(luigi.DictParameter):
    """JSON of stage -> parameter -> value: ``{"TrainClassifier": {"deal_weight": 0.2}}``.

    Raises
    ------
    SettingError
        If the text is not valid JSON, or a stage or a parameter is unknown.
    """

    def parse(self, text: str):
        try:
            return super().parse(text)
        except ValueError as error:
            raise SettingError(
                f"settings '{text}' is not valid JSON ({error}); write "
                '{"Stage": {"parameter": value}} between single quotes'
            ) from None

    def normalize(self, value):
        settings = super().normalize(value)
        if not isinstance(settings, Mapping):
            raise SettingError('settings must be a table, {"Stage": {"parameter": value}}')
        for family, values in settings.items():
            if not isinstance(values, Mapping):
                raise SettingError(f'settings of {family} must be a table, {{"{family}": {{"parameter": value}}}}')
            stage: Any = _stage_named(family)
            known = dict(stage.get_params())
            for name in values:
                if name not in known or name in stage.common:
                    raise SettingError(f"stage {family} has no parameter '{name}'{nearest(name, known)}")
        return settings


def _stage_named(family: str) -> type[luigi.Task]:
    stages = {
        name: task
        for name, task in registered_tasks().items()
        if issubclass(task, luigi.Task) and isinstance(getattr(task, "settings", None), SettingsParameter)
    }
    if family not in stages:
        raise SettingError(f"there is no stage '{family}'{nearest(family, stages)}")
    return stages[family]
