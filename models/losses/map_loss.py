"""How a loss on the classifier's maps is described, so that it needs no line outside its file and the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any


@dataclass(frozen=True)
class Setting:
    """A keyword of a loss that the user can set.

    Attributes
    ----------
    default : int, float or str
    description : str
        One line for help and luigi.cfg.
    choices : tuple of str
        The legal values of a text.
    """

    default: int | float | str
    description: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class MapLoss:
    """A loss on the maps of a classifier.

    Attributes
    ----------
    path : str
        Import path of the Module, ``package.module:Class``.
    title : str
    inputs : tuple of str
        What it is called with, in this order: ``maps`` (activation maps before ReLU), ``cams`` (what is extracted),
        ``tags`` (B, K), ``image`` (RGB in [0, 1]), ``depth`` (metres), ``valid`` (measured pixels).
    published_weight : float
        The paper's weight, for ablations.
    weight : float
        The default weight of the stage; 0 = off.
    replaces_classification : bool
        The total is (1 - w) classification + w loss. Otherwise w loss is added, rises after the first epochs, and the
        loss takes the keyword ``normalisation`` of the CAMs.
    settings : dict of keyword -> Setting
    """

    path: str
    title: str
    inputs: tuple[str, ...]
    published_weight: float
    weight: float = 0.0
    replaces_classification: bool = False
    settings: Mapping[str, Setting] = field(default_factory=dict)

    @property
    def needs_depth(self) -> bool:
        return "depth" in self.inputs

    def build(self, **settings: Any) -> Any:
        """The Module, with values for its settings."""
        return resolve_name(self.path)(**settings)
