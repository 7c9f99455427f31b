"""Stages with their parameters varied one at a time, for the tests that walk over all stages."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import luigi
import numpy as np
from PIL import Image

import pipeline
from data.readers.bop import read_bop
from data.sample import EVALUATION, TRAIN
from tasks.build_templates import onboarding_frames
from tasks.methods import METHODS
from tasks.runtime.luigi_seam import choices_of, default_value
from tasks.runtime.numeric import NumberOrName, NumberParameter, NumbersParameter, WholeParameter
from tasks.runtime.parameters import nonzero
from tasks.runtime.stage import COMMON, StageTask

STAGES = [stage for name in pipeline.__all__ if issubclass(stage := getattr(pipeline, name), StageTask)]

CNN, OTHER_CNN, VIT = "test_efficientnet", "test_resnet", "test_vit"

ZERO_IS_OFF = {"noise", "dropout", "bleeding", "paste", "mosaic", "hue"}
"""Parameters besides the weights that switch something off."""

TOGETHER = {
    "TrainClassifier": [{"head": "vit", "backbone": VIT}, {"deal_weight": 0.0, "isl_weight": 0.2}],
    "ExtractKeys": [{"backbone": VIT}],
    "DiscoverSuperpixels": [{"units": "patches", "refinement": "nearest"}],
}
"""Further settings to vary from, where a condition needs more than one parameter."""


def own_parameters(stage: type[StageTask]) -> dict[str, luigi.Parameter]:
    """The parameters of a stage, without those that all stages share."""
    return {name: parameter for name, parameter in stage.get_params() if name not in COMMON}


def write_crops(root: Path, class_names: tuple[str, ...]) -> None:
    """A photograph of each class beside a data set."""
    for name in class_names[1:]:
        path = root / "crops" / name / "a.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 70, np.uint8)).save(path)


class Variants:
    """Legal values of the parameters of all stages.

    Parameters
    ----------
    folder : Path
        For a copy of the data set and for the files that some sources need.
    rendered : Path
        The tiny set.
    """

    def __init__(self, folder: Path, rendered: Path):
        self.data = Path(shutil.copytree(rendered, folder / "tiny"))
        show_single_objects(self.data / "train_pbr")
        shutil.copytree(rendered / "train_pbr", self.data / "other")  # a split of another name
        index = read_bop(rendered, {TRAIN: "train_pbr", EVALUATION: "test"})
        for sample in index.samples:
            for name, values in (
                ("depth", np.full((144, 192), 700, np.uint16)),
                ("saliency", np.eye(144, 192) > 0),
                ("masks", np.eye(144, 192, dtype=np.uint8)),
            ):
                path = folder / name / f"{sample.image_id}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(values).save(path)
        write_crops(self.data, index.class_names)
        network, grid = folder / "network.onnx", folder / "grid.toml"
        network.write_bytes(b"a network")
        grid.write_text("[gamma.low.GenerateSeeds]\ngamma = 0.01\n")
        classes = list(onboarding_frames(read_bop(self.data, {TRAIN: "train_pbr", EVALUATION: "test"})))
        self.needed = {
            "LoadDepth": {"folder": str(folder / "depth")},
            "LoadSaliency": {"folder": str(folder / "saliency"), "model": str(network)},
            "BaselineMasks": {"folder": str(folder / "masks")},
            "BuildTemplates": {"class_name": classes[0]},
            **dict.fromkeys(
                ("MatchObjects", "EvaluateInstances", "ExportInstances"),
                {"settings": {"BaselineMasks": {"folder": str(folder / "masks")}}},
            ),
            "Ablation": {"seeds": "0", "losses": "none,deal"},
            "Compare": {"seeds": "0"},
        }
        self.texts = {
            "backbone": (CNN, OTHER_CNN),
            "weights": ("random", "hub"),
            "model": ("nobody/nothing", "nobody/nothing-else"),
            "class_name": classes[:2],
            "train_folder": ("train_pbr", "other"),
            "evaluation_folder": ("test", "other"),
            "seeds": ("0", "1"),
            "losses": ("none,deal", "none"),
            "heads": ("gap", "seam"),
            "vary": ("", "GenerateSeeds.alpha=0.3,0.5"),
            "grid": ("", str(grid)),
            "methods": ("superpixel,coarse", "superpixel"),
            "features": ("", "rgb"),
            "rules": ("", "lowest,highest"),
            "images_at": ("/data/", "/elsewhere/"),
            "licence": ("", "mit"),
            "data_licence": ("", "cc-by-4.0"),
        }

    def bases(self, stage: type[StageTask]) -> Iterator[dict[str, object]]:
        """Settings to vary from: the defaults; each value of a choice, flag or weight, one at a time; `TOGETHER`."""
        needed = self.needed.get(stage.__name__, {})
        yield needed
        for name, parameter in own_parameters(stage).items():
            if choices_of(parameter) or isinstance(parameter, luigi.BoolParameter) or _is_switch(stage, name):
                for value in self.other_values(stage, name, default_value(parameter)):
                    yield {**needed, name: value}
        for method in METHODS:
            yield {**needed, "method": method}
        for further in TOGETHER.get(stage.__name__, []):
            yield {**needed, **further}

    def other_values(self, stage: type[StageTask], name: str, value: object) -> list:
        """Legal values of a parameter that are not `value`."""
        parameter = getattr(stage, name)
        if isinstance(parameter, luigi.ChoiceListParameter):
            found = [(choice,) for choice in sorted(choices_of(parameter))]
        elif choices := choices_of(parameter):
            found = sorted(choices)
        elif isinstance(parameter, luigi.BoolParameter):
            found = [False, True]
        elif isinstance(parameter, NumbersParameter):
            longer = [(*value, further) for further in (0.5, 1.0, *value[:1])]
            longer = [(0.25,) * len(value)] if parameter.count else longer
            found = list(filter(parameter.allows, longer))[:1]
        elif name == "size":  # of IndexDataset: 1 is none
            found = [0, 96, 64]
        elif isinstance(parameter, WholeParameter):
            found = list(filter(parameter.allows, [value + 1, *parameter.legal.among]))[:1]
        elif isinstance(parameter, NumberOrName):
            found = [0.0, 0.25, *parameter.names]
        elif isinstance(parameter, NumberParameter):
            found = list(filter(parameter.allows, [value + 0.25, value - 0.25]))[:1]
            found += [0.0] if _is_switch(stage, name) else []
        else:
            found = self.texts.get(name, ())
        return [candidate for candidate in found if candidate != value]


def show_single_objects(split: Path) -> None:
    """Let every frame of a split list its first object alone, so that several classes have frames of their own."""
    for path in split.glob("*/scene_gt*.json"):
        frames = json.loads(path.read_text())
        path.write_text(json.dumps({frame: objects[:1] for frame, objects in frames.items()}))


def _is_switch(stage: type[StageTask], name: str) -> bool:
    """True for a number that switches something off at 0."""
    conditions = (getattr(parameter, "conditions", {}) for parameter in own_parameters(stage).values())
    return name.endswith("_weight") or name in ZERO_IS_OFF or any(found.get(name) is nonzero for found in conditions)
