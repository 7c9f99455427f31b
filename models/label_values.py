"""Special values of label maps, for all modules of this package. `data.sample` has the same value for files."""

UNLABELLED = 65535
"""A pixel without a label: void in ground truth, undecided in a seed, unlabelled in a prediction."""
