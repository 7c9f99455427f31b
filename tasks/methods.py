"""The methods by name: which stage trains the segmentation network, and what there is to score on the way."""

from __future__ import annotations

from typing import NamedTuple

from tasks.coarsen_masks import CoarsenMasks
from tasks.discover_superpixels import DiscoverSuperpixels
from tasks.extract_cams import ExtractCams
from tasks.generate_seeds import GenerateSeeds
from tasks.load_depth import LoadDepth
from tasks.load_saliency import LoadSaliency
from tasks.refine_saliency import RefineSaliency
from tasks.runtime.stage import METHODS, StageTask
from tasks.runtime.training_stage import TrainingTask
from tasks.train_by_masking import TrainByMasking
from tasks.train_classifier import TrainClassifier
from tasks.train_coarse import TrainCoarse
from tasks.train_segmenter import TrainSegmenter


class Method(NamedTuple):
    """A road through the DAG.

    Attributes
    ----------
    trainer : type
        The stage whose network PredictMasks uses.
    stages : tuple of type
        Those on the way to it whose artifacts are shown, in the order in which they run.
    results : tuple of str
        What EvaluateMasks scores, in the order in which it arises.
    """

    trainer: type[TrainingTask]
    stages: tuple[type[StageTask], ...]
    results: tuple[str, ...]


REGISTRY: dict[str, Method] = {
    "superpixel": Method(
        TrainSegmenter,
        (LoadDepth, TrainClassifier, ExtractCams, DiscoverSuperpixels, GenerateSeeds),
        ("cam_seed", "initial_seed", "pseudo_labels", "predictions"),
    ),
    "masking": Method(
        TrainByMasking,
        (LoadDepth, TrainClassifier, ExtractCams, LoadSaliency, RefineSaliency),
        ("cam_seed", "saliency", "pseudo_labels", "predictions"),
    ),
    "coarse": Method(TrainCoarse, (CoarsenMasks,), ("coarse_labels", "predictions")),
}
assert tuple(REGISTRY) == METHODS


def trainer(method: str) -> type[TrainingTask]:
    """The stage that trains the segmentation network of a method."""
    return REGISTRY[method].trainer
