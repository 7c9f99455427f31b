"""What the numbers in label maps mean, for all of this room (`data.sample` says the same for files)."""

UNLABELLED = 255
"""A pixel without a label: void in ground truth, undecided in a seed, unlabelled in a prediction."""
