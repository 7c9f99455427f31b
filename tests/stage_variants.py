"""Stages with their parameters varied one at a time, for the tests that walk over all stages."""

from collections.abc import Iterator
from pathlib import Path

import luigi
import numpy as np
from PIL import Image

import pipeline
from data.readers.bop import read_bop
from data.sample import EVALUATION, TRAIN
from tasks.methods import METHODS
from tasks.runtime.luigi_seam import choices_of, default_value
from tasks.runtime.parameters import ScalesParameter, nonzero
from tasks.runtime.stage import COMMON, StageTask

STAGES = [stage for name in pipeline.__all__ if issubclass(stage := getattr(pipeline, name), StageTask)]

CNN, OTHER_CNN, VIT = "test_efficientnet", "test_resnet", "test_vit"

ZERO_IS_OFF = {"noise", "dropout", "bleeding", "paste", "mosaic", "hue"}
"""Parameters besides the weights that switch something off."""

TEXTS = {
    "backbone": (CNN, OTHER_CNN),
    "weights": ("random", "hub"),
    "model": ("nobody/nothing", "nobody/nothing-else"),
    "train_folder": ("train_pbr", "test"),
    "evaluation_folder": ("test", "train_pbr"),
    "seeds": ("0", "1"),
    "losses": ("none,deal", "none"),
    "heads": ("gap", "seam"),
    "vary": ("", "GenerateSeeds.alpha=0.3,0.5"),
    "methods": ("superpixel,coarse", "superpixel"),
}
"""Legal values of the parameters that are any text."""

TOGETHER = {
    "TrainClassifier": [{"head": "vit", "backbone": VIT}, {"deal_weight": 0.0, "isl_weight": 0.2}],
    "ExtractKeys": [{"backbone": VIT}],
}
"""Further settings to vary from, where a condition needs more than one parameter."""


def write_files(folder: Path, data: Path) -> dict[str, dict[str, str]]:
    """The files that some sources need: stage -> parameters that name them."""
    dataset = read_bop(data, {TRAIN: "train_pbr", EVALUATION: "test"})
    for sample in dataset.samples:
        for place, values in (("depth", np.full((144, 192), 700, np.uint16)), ("saliency", np.eye(144, 192))):
            path = folder / place / f"{sample.image_id}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values if place == "depth" else (255 * values).astype(np.uint8)).save(path)
    (folder / "network.onnx").write_bytes(b"a network")
    (folder / "grid.toml").write_text("[gamma.low.GenerateSeeds]\ngamma = 0.01\n")
    return {
        "LoadDepth": {"folder": str(folder / "depth")},
        "LoadSaliency": {"folder": str(folder / "saliency"), "model": str(folder / "network.onnx")},
        "Ablation": {"seeds": "0", "losses": "none,deal", "heads": "gap"},
        "Compare": {"seeds": "0"},
    }


def own_parameters(stage: type[StageTask]) -> dict[str, luigi.Parameter]:
    """The parameters of a stage, without those that all stages share."""
    return {name: parameter for name, parameter in stage.get_params() if name not in COMMON}


def is_weight(name: str) -> bool:
    """True for a number that switches something off at 0."""
    return name.endswith("_weight") or name in ZERO_IS_OFF


def other_values(name: str, parameter: luigi.Parameter, value: object) -> list:
    """Legal values of a parameter that are not `value`."""
    if isinstance(parameter, luigi.ChoiceListParameter):
        found = [(choice,) for choice in sorted(choices_of(parameter))]
    elif choices := choices_of(parameter):
        found = sorted(choices)
    elif isinstance(parameter, luigi.BoolParameter):
        found = [False, True]
    elif isinstance(parameter, ScalesParameter):
        found = [(*value, 0.5)]
    elif isinstance(parameter, luigi.IntParameter):
        found = [value + 1]
    elif isinstance(parameter, luigi.FloatParameter):
        found = [value + 0.25, *([0.0] if is_weight(name) else [])]
    else:
        found = TEXTS.get(name, ())
    return [candidate for candidate in found if candidate != value]


def bases(stage: type[StageTask]) -> Iterator[dict[str, object]]:
    """Settings to vary from: the defaults; each value of each choice, flag and weight, one at a time; `TOGETHER`."""
    yield {}
    for name, parameter in own_parameters(stage).items():
        is_choice = bool(choices_of(parameter)) or isinstance(parameter, luigi.BoolParameter)
        if is_choice or is_weight(name) or _switches_another(stage, name):
            for value in other_values(name, parameter, default_value(parameter)):
                yield {name: value}
    yield from ({"method": method} for method in METHODS if method != default_value(StageTask.method))
    yield from TOGETHER.get(stage.__name__, [])


def _switches_another(stage: type[StageTask], name: str) -> bool:
    conditions = (getattr(parameter, "conditions", {}) for parameter in own_parameters(stage).values())
    return any(wanted.get(name) is nonzero for wanted in conditions)
