"""Quality gates: whether the result of a stage can be of use to the stages that follow.

A stage states its gates in `StageTask.findings`. A finding is a warning in the log and in the report. If what follows
would make no sense, the stage raises a QualityError and its artifact does not become complete.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from data.errors import QualityError
from data.sample import UNLABELLED
from data.store.artifact import Artifact

if TYPE_CHECKING:
    from tasks.runtime.image_stage import ImageStage

WARNINGS = "warnings.json"
"""File of the findings, in an artifact that has any."""

NAMED = 10
"""Classes or images that a finding names."""


def warnings_of(artifact: Artifact) -> list[str]:
    """The findings about a complete artifact; raises as `Artifact.read`."""
    return json.loads(artifact.read(WARNINGS)) if (artifact.path / WARNINGS).exists() else []


def class_pixels(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels of each class 0..K in a label map, then the unlabelled pixels, (K+2,) int64; `num_classes` is K.

    Examples
    --------
    >>> class_pixels(np.array([[0, 2], [2, 65535]]), 2).tolist()
    [1, 0, 2, 1]
    """
    labels = labels.astype(np.int64)
    return np.bincount(np.where(labels == UNLABELLED, num_classes + 1, labels).ravel(), minlength=num_classes + 2)


def require_labels(stage: ImageStage, pixels: np.ndarray, advice: str) -> None:
    """Raise a QualityError with `advice` if no pixel is labelled; `pixels` are sums of `class_pixels`."""
    if not pixels[:-1].any():
        raise QualityError(
            f"{stage.label}: no pixel of {len(stage.samples)} images is labelled, so nothing can be learnt; {advice}"
        )


def classes_without(stage: ImageStage, pixels: np.ndarray, what: str, advice: str = "") -> list[str]:
    """A finding about the classes that are tags of images, but have no pixel; `advice` ends its line."""
    tagged = sorted(set().union(*stage.inputs["dataset"].split(stage.split).tag_sets))
    names = stage.inputs["dataset"].class_names
    missing = [names[tag] for tag in tagged if not pixels[tag]]
    if not missing:
        return []
    found = f"{len(missing)} of {len(tagged)} tagged classes have no {what}: {listed(missing)}"
    return [f"{found}; {advice}" if advice else found]


def listed(names: Sequence[str] | Iterable[str]) -> str:
    """Names for a finding: at most `NAMED` of them."""
    names = list(names)
    return ", ".join([*names[:NAMED], *(["..."] if len(names) > NAMED else [])])
