"""The methods by name: the stage that trains the segmentation network, and the results that can be scored.

Stages are named by import path, because this file is imported before them: the base of all stages declares the
parameter ``--method`` with the names of the methods.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, NamedTuple

from data.errors import MethodError

if TYPE_CHECKING:
    from tasks.runtime.stage import StageTask


class Method(NamedTuple):
    """A method: the stages from the data set to the segmentation network.

    Attributes
    ----------
    trainer : str
        Import path of the stage that trains the segmentation network; empty for a method without training.
    stages : dict of name -> import path
        The stages before it that the report shows, in the order in which they run.
    results : tuple of str
        What EvaluateMasks scores (names of `tasks.evaluate_masks.RESULTS`), in the order of the stages.
    labels : str
        Import path of the stage that writes the class maps of a split.
    named : bool
        False if these are maps of clusters, which have no names (array ``cluster`` instead of ``label``). EvaluateMasks
        matches them to classes.
    """

    trainer: str
    stages: dict[str, str]
    results: tuple[str, ...]
    labels: str = "tasks.predict_masks:PredictMasks"
    named: bool = True

    def trainer_stage(self) -> type[StageTask]:
        """The class of `trainer`; MethodError if the method trains no network."""
        if not self.trainer:
            trained = ", ".join(name for name, method in METHODS.items() if method.trainer)
            raise MethodError(f"this method trains no network, so there is none to use; choose --method {trained}")
        return resolve_name(self.trainer)

    def stage_classes(self) -> dict[str, type[StageTask]]:
        """The classes of `stages`: name -> class."""
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
    "match": Method(
        "",
        DEPTH,
        ("pseudo_labels", "predictions"),
        "tasks.match_objects:MatchObjects",
    ),
    "clusters": Method(
        "",
        {**DEPTH, "superpixels": "tasks.discover_superpixels:DiscoverSuperpixels"},
        ("pseudo_labels", "predictions"),
        "tasks.assign_clusters:AssignClusters",
        named=False,
    ),
}


def trainer(method: str) -> type[StageTask]:
    """The class of the stage that trains the segmentation network of a method."""
    return METHODS[method].trainer_stage()


def labels_stage(method: str) -> type[StageTask]:
    """The class of the stage that writes the class maps of a split, with the parameter ``split``."""
    return resolve_name(METHODS[method].labels)


def named_labels_stage(method: str) -> type[StageTask]:
    """Same as `labels_stage`; MethodError for a method whose maps are of clusters without names."""
    if not METHODS[method].named:
        named = ", ".join(name for name, found in METHODS.items() if found.named)
        raise MethodError(f"--method {method} finds groups without class names, which are needed here; choose {named}")
    return labels_stage(method)
