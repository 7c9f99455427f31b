"""Description of a loss on the maps of a classifier. A new loss is one file and one entry in the registry."""

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
        The valid values of a text; empty for a number.
    at_least, above, at_most : float or None
        Bounds of a number; None = no such bound.
    """

    default: int | float | str
    description: str
    choices: tuple[str, ...] = ()
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None


@dataclass(frozen=True)
class MapLoss:
    """A loss on the maps of a classifier.

    Attributes
    ----------
    path : str
        Import path of the Module, ``package.module:Class``.
    title : str
        The name in plain words.
    inputs : tuple of str
        Arguments of the Module, in this order: ``maps`` (B, K, h, w), activation maps before ReLU; ``cams``
        (B, K, h, w), what is extracted as CAM; ``tags`` (B, K), image-level tags in {0, 1}; ``image`` (B, 3, H, W),
        RGB in [0, 1]; ``depth`` (B, 1, H, W), metres; ``valid`` (B, 1, H, W), bool, measured pixels.
    published_weight : float
        Weight in the paper, or ours where the paper gives none (``deal``), for ablations.
    weight : float
        Default weight in the stage; 0 = off.
    replaces_classification : bool
        True: the total is (1 - w) * classification + w * loss. False: w * loss is added, and its weight rises after
        the first epochs. Such a loss acts on the maps of present classes only and takes the keyword
        ``normalisation`` (a name of `models.cam_normalisation.NORMALISATIONS`).
    settings : mapping of keyword -> Setting
        Their defaults are those of the stage and may differ from those of the Module.
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
        """True if the loss takes depth maps."""
        return "depth" in self.inputs

    def build(self, **settings: Any) -> Any:
        """The Module with these keywords; keywords that are left out have the Module's own defaults.

        Examples
        --------
        >>> MapLoss("models.losses.deal:DepthEdgeAlignmentLoss", "DEAL", ("cams", "depth"), 1.0).build(stride=4).stride
        4
        """
        return resolve_name(self.path)(**settings)
