"""The pictures of one image: what each artifact holds, or what a stage would write with other parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from data.errors import SettingError
from data.files.labels import read_truth
from data.files.working_size import sample_image
from data.sample import UNLABELLED
from pipeline.report.colours import colour_depth, colour_heat, colour_instances, colour_labels, colour_superpixels
from pipeline.view.run import ViewedImage, ViewedRun
from tasks.extract_cams import read_cam
from tasks.load_depth import read_surface

DIFFERENT = (230, 30, 30)
"""Colour of the pixels in which two artifacts differ."""


@dataclass(frozen=True)
class Changes:
    """What the page has set.

    Attributes
    ----------
    threshold : float
        CAM value below which a pixel of the CAM seed is background.
    seed : dict of str -> float
        Parameters of GenerateSeeds that differ from the run's.
    """

    threshold: float = 0.3
    seed: Mapping[str, float] = field(default_factory=dict)


class Side(NamedTuple):
    """What one side of a comparison shows: a panel, of the run or of another identity of its stage.

    Examples
    --------
    >>> Side.of("initial seed|ab12"), str(Side("prediction"))
    (Side(title='initial seed', identity='ab12'), 'prediction|')
    """

    title: str
    identity: str = ""

    def __str__(self) -> str:
        return f"{self.title}|{self.identity}"

    @classmethod
    def of(cls, text: str) -> Side:
        """The side that `str` wrote; SettingError for another text."""
        title, separator, identity = text.partition("|")
        if not separator or title not in PANELS:
            raise SettingError(f"there is no panel {text!r:.60}; the panels are {', '.join(PANELS)}")
        return cls(title, identity)


Values = np.ndarray
Read = Callable[[ViewedImage, str, Changes], Values]


@dataclass(frozen=True)
class Panel:
    """One kind of picture.

    Attributes
    ----------
    source : str
        Name of the artifact that is read; empty for what is not an artifact.
    kind : str
        How the values are drawn, a name of `DRAWN`.
    read : callable
        (image, identity or empty, changes) -> values.
    has_identities : bool
        True if the panel shows the artifact as it is, so that other identities of its stage can be shown by it.
    """

    source: str
    kind: str
    read: Read
    has_identities: bool = True


def _array(source: str, name: str) -> Read:
    return lambda image, identity, changes: image.stored(source, identity).read(name)


def _classes(source: str) -> Read:
    return lambda image, identity, changes: image.class_map(source, identity)


def _depth(image: ViewedImage, identity: str, changes: Changes) -> Values:
    depth, valid = read_surface(image.stored("depth", identity))
    return np.where(valid, depth, np.nan)


def _cam(image: ViewedImage, identity: str, changes: Changes) -> Values:
    cam = read_cam(image.stored("cams", identity))[0].numpy()
    return cam.max(0) if len(cam) else np.zeros(image.sample.size, np.float32)


def _cam_seed(image: ViewedImage, identity: str, changes: Changes) -> Values:
    from models.metrics import cam_segmentation

    cam, classes = (values.numpy() for values in read_cam(image.stored("cams", identity)))
    return cam_segmentation(cam, classes, changes.threshold)


def _new_seed(image: ViewedImage, identity: str, changes: Changes) -> Values:
    return image.run.seed(image, **changes.seed)


def _truth(image: ViewedImage, identity: str, changes: Changes) -> Values:
    truth = read_truth(image.sample, image.run.dataset.num_classes)
    if truth is None:
        raise SettingError(f"{image.sample.image_id}: has no ground truth")
    return truth


PANELS: dict[str, Panel] = {
    "image": Panel("", "image", lambda image, identity, changes: sample_image(image.sample), False),
    "depth": Panel("depth", "depth", _depth),
    "CAM": Panel("cams", "heat", _cam),
    "CAM seed": Panel("cams", "labels", _cam_seed, False),
    "saliency": Panel("saliency", "heat", _array("saliency", "saliency")),
    "refined saliency": Panel("refined_saliency", "two", _array("refined_saliency", "salient")),
    "superpixels": Panel("superpixels", "superpixels", _array("superpixels", "superpixel")),
    "initial seed": Panel("seeds", "labels", _array("seeds", "seed")),
    "seed, changed": Panel("seeds", "labels", _new_seed, False),
    "coarse label": Panel("coarse_labels", "labels", _array("coarse_labels", "label")),
    "proposals": Panel("proposals", "instances", _array("proposals", "instance")),
    "pseudo-label": Panel("pseudo_labels", "labels", _classes("pseudo_labels")),
    "prediction": Panel("predictions", "labels", _classes("predictions")),
    "instances": Panel("instances", "instances", _array("instances", "instance")),
    "ground truth": Panel("", "labels", _truth, False),
}
"""Title -> panel, in the order of the stages."""

RESULTS = ("pseudo-label", "prediction")
"""Panels of the label maps that a run is made for."""


def shown_panels(image: ViewedImage, changes: Changes) -> list[str]:
    """Titles of the panels of an image, in their order. What the run or the image does not have is left out."""
    return [title for title, panel in PANELS.items() if _is_shown(title, panel, image, changes)]


def _is_shown(title: str, panel: Panel, image: ViewedImage, changes: Changes) -> bool:
    if title == "ground truth":
        return bool(image.sample.truth)
    if title == "seed, changed":
        return image.has("seeds") and bool(changes.seed) and image.run.seeds is not None
    if title == "depth" and image.sample.depth is None:
        return False
    return not panel.source or image.has(panel.source)


def sides(run: ViewedRun, split: str) -> dict[Side, str]:
    """What can be compared in a split: side -> its name on the page. Each stage comes with all its identities."""
    found = {}
    for title, panel in PANELS.items():
        if panel.kind == "image" or panel.source and panel.source not in run.stages[split]:
            continue
        found[Side(title)] = title
        if panel.has_identities and panel.source:
            others = list(run.identities(split, panel.source).items())[1:]
            found |= {Side(title, identity): f"{title}, {identity} ({what})" for identity, what in others}
    return found


def values(image: ViewedImage, side: Side, changes: Changes) -> Values:
    """The values of a panel, as `Panel.read` returns them; SettingError if the run or the image has none."""
    return PANELS[side.title].read(image, side.identity, changes)


def picture(image: ViewedImage, side: Side, changes: Changes) -> np.ndarray:
    """A panel as a picture, (H, W, 3) uint8; raises as `values`."""
    return DRAWN[PANELS[side.title].kind](values(image, side, changes), image)


def has_difference(first: Side, second: Side) -> bool:
    """True if the values of two sides can be compared pixel by pixel: numbers of regions mean nothing elsewhere."""
    kinds = {PANELS[side.title].kind for side in (first, second)}
    return len(kinds) == 1 and kinds <= {"labels", "two", "heat", "depth"}


def are_labels(first: Side, second: Side) -> bool:
    """True if both sides are label maps, so that they have a `pipeline.view.scoring.disagreement`."""
    return has_difference(first, second) and PANELS[first.title].kind in ("labels", "two")


def difference(image: ViewedImage, first: Side, second: Side, changes: Changes) -> np.ndarray:
    """Where two sides differ, (H, W, 3) uint8 over the grey image.

    Label maps: the pixels that both label, with other labels. Other maps: the absolute difference, divided by its
    maximum.
    """
    before, after = (values(image, side, changes) for side in (first, second))
    grey = sample_image(image.sample).mean(2, keepdims=True).repeat(3, 2)
    if are_labels(first, second):
        differ = (before != after) & (before != UNLABELLED) & (after != UNLABELLED)
        return np.where(differ[..., None], np.array(DIFFERENT), grey).astype(np.uint8)
    change = np.abs(np.nan_to_num(after.astype(np.float64)) - np.nan_to_num(before.astype(np.float64)))
    return colour_heat(change / max(float(change.max()), 1e-9), grey)


def caption(labels: np.ndarray, truth: np.ndarray | None) -> str:
    """Share of the pixels that have a label and, with ground truth, share of these that is right."""
    labelled = labels != UNLABELLED
    text = f"{100 * labelled.mean():.0f} % labelled"
    if truth is not None and (counted := labelled & (truth != UNLABELLED)).any():
        text += f", {100 * (labels == truth)[counted].mean():.1f} % right"
    return text


def _labels(found: Values, image: ViewedImage) -> np.ndarray:
    return colour_labels(found, image.run.dataset.num_classes + 1, sample_image(image.sample))


DRAWN: dict[str, Callable[[Values, ViewedImage], np.ndarray]] = {
    "image": lambda found, image: found,
    "depth": lambda found, image: colour_depth(found, np.isfinite(found)),
    "heat": lambda found, image: colour_heat(found.astype(np.float32), sample_image(image.sample)),
    "superpixels": lambda found, image: colour_superpixels(found.astype(np.int64), sample_image(image.sample)),
    "instances": lambda found, image: colour_instances(found, sample_image(image.sample)),
    "two": lambda found, image: colour_labels(found, 2),
    "labels": _labels,
}
"""Kind of values -> function (values, image) -> picture."""
