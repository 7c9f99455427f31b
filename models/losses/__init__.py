"""Losses, one file per term of a paper. Each loss is a Module that needs no other part of the pipeline.

``from models.losses import DepthEdgeAlignmentLoss`` works for every class below. The modules are imported on demand.
"""

from __future__ import annotations

from typing import Any

from models.losses.map_loss import MapLoss, Setting
from models.registry import export

MAP_LOSSES: dict[str, MapLoss] = {
    "isl": MapLoss(
        "models.losses.importance_sampling:ImportanceSamplingLoss",
        title="importance sampling loss",
        inputs=("maps", "tags"),
        published_weight=0.2,
        replaces_classification=True,
        settings={"samples": Setting(10, "positions drawn per image and class", at_least=1, at_most=100_000)},
    ),
    "deal": MapLoss(
        "models.losses.deal:DepthEdgeAlignmentLoss",
        title="depth edge alignment loss",
        inputs=("maps", "depth", "tags", "valid"),
        weight=2.0,
        published_weight=1.0,
        settings={
            "edges": Setting("curvature", "how depth edges are found", choices=("curvature", "sobel")),
            "stride": Setting(8, "pixels per cell of the grid on which the edges are compared", at_least=1, at_most=64),
            "floor": Setting(0.004, "smallest step in depth that is an edge, in metres", at_least=0),
            "span": Setting(0.03, "steps above floor + span count in full, in metres", above=0),
            "noise_factor": Setting(
                2.0,
                "the floor is at least this multiple of the noise of the image at this distance",
                at_least=0,
            ),
        },
    ),
    "fsl": MapLoss(
        "models.losses.feature_similarity:FeatureSimilarityLoss",
        title="feature similarity loss",
        inputs=("cams", "image", "tags"),
        published_weight=1.0,
        settings={
            "sigma": Setting(5.0, "reach of the similarity, in cells of its grid", at_least=0.5, at_most=100),
            "stride": Setting(8, "pixels per cell of the grid on which colours are compared", at_least=1, at_most=64),
        },
    ),
}
"""name -> loss on the maps of a classifier, in the order of their sum. TrainClassifier has their settings."""

TASK_LOSSES = (
    "models.losses.attention:AttentionLoss",
    "models.losses.saliency:SaliencyLoss",
    "models.losses.seed:BalancedSeedLoss",
    "models.losses.superpixel_slic:SuperpixelSlicLoss",
)
"""Import paths of the losses that belong to one training stage each."""


def __getattr__(name: str) -> Any:
    return export([*(loss.path for loss in MAP_LOSSES.values()), *TASK_LOSSES], __name__, name)
