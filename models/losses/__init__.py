"""Losses, one paper's term a file; each is a Module that needs no other part of the pipeline."""

from models.losses.attention import AttentionLoss
from models.losses.deal import DepthEdgeAlignmentLoss
from models.losses.feature_similarity import FeatureSimilarityLoss
from models.losses.importance_sampling import ImportanceSamplingLoss
from models.losses.saliency import SaliencyLoss
from models.losses.seed import BalancedSeedLoss
from models.losses.superpixel_slic import SuperpixelSlicLoss

__all__ = [
    "AttentionLoss",
    "BalancedSeedLoss",
    "DepthEdgeAlignmentLoss",
    "FeatureSimilarityLoss",
    "ImportanceSamplingLoss",
    "SaliencyLoss",
    "SuperpixelSlicLoss",
]
