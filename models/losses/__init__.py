"""Losses, one paper's term a file; each is a Module that needs nothing else of this project."""

from models.losses.deal import DepthEdgeAlignmentLoss
from models.losses.seed import BalancedSeedLoss

__all__ = ["BalancedSeedLoss", "DepthEdgeAlignmentLoss"]
