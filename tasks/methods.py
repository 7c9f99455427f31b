"""The methods by name: which stage trains the segmentation network, and what there is to score on the way.

Stages are named by import path: a stage declares the parameter ``--method`` with these names before it is defined.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tasks.runtime.stage import StageTask


class Method(NamedTuple):
    """A way through the stages.

    Attributes
    ----------
    trainer : str
        The stage whose network PredictMasks uses.
    stages : dict of name -> stage
        Those on the way to it whose artifacts are shown, in the order in which they run.
    results : tuple of str
        What EvaluateMasks scores, in the order in which it arises.
    """

    trainer: str
    stages: dict[str, str]
    results: tuple[str, ...]

    def trainer_stage(self) -> type[StageTask]:
        """The class of `trainer`."""
        return resolve_name(self.trainer)

    def stage_classes(self) -> dict[str, type[StageTask]]:
        """`stages` as classes."""
        return {name: resolve_name(path) for name, path in self.stages.items()}


DEPTH = {"depth": "tasks.load_depth:LoadDepth"}
CAMS = {"classifier": "tasks.train_classifier:TrainClassifier", "cams": "tasks.extract_cams:ExtractCams"}

METHODS: dict[str, Method] = {
    "superpixel": Method(
        "tasks.train_segmenter:TrainSegmenter",
        {
            **DEPTH,
            **CAMS,
            "superpixels": "tasks.discover_superpixels:DiscoverSuperpixels",
            "seeds": "tasks.generate_seeds:GenerateSeeds",
        },
        ("cam_seed", "initial_seed", "pseudo_labels", "predictions"),
    ),
    "masking": Method(
        "tasks.train_by_masking:TrainByMasking",
        {
            **DEPTH,
            **CAMS,
            "saliency": "tasks.load_saliency:LoadSaliency",
            "refined_saliency": "tasks.refine_saliency:RefineSaliency",
        },
        ("cam_seed", "saliency", "pseudo_labels", "predictions"),
    ),
    "coarse": Method(
        "tasks.train_coarse:TrainCoarse",
        {"coarse_labels": "tasks.coarsen_masks:CoarsenMasks"},
        ("coarse_labels", "predictions"),
    ),
}


def trainer(method: str) -> type[StageTask]:
    """The stage that trains the segmentation network of a method."""
    return METHODS[method].trainer_stage()
