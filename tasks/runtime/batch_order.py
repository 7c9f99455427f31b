"""Which images the batches of an epoch show: each image once, or more often in a small set or with a rare class."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np


def repeat_factors(tags: Sequence[Collection[int]], rare: float) -> np.ndarray:
    """How often an epoch shows each image, relative to an image of frequent classes.

    Repeat factor sampling (Gupta, Dollár, Girshick, CVPR 2019: LVIS, section 4): r(I) = max over the tags c of image I
    of max(1, sqrt(t / f(c))), where f(c) is the share of the images that have the tag c. In the paper, t is a constant.
    Here t = `rare` times the mean of f over the classes (ours), so that it suits any number of classes.

    Parameters
    ----------
    tags : sequence of N collections of int
        Class numbers of each image.
    rare : float
        A class with fewer images than this share of the mean over the classes is rare. 0 = no class is.

    Returns
    -------
    ndarray, (N,), float64, >= 1
        1 for an image without tags.

    Examples
    --------
    >>> repeat_factors([(1,)] * 7 + [(2,)], rare=1.0).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0]
    """
    factors = np.ones(len(tags))
    counts = np.bincount([tag for found in tags for tag in found])
    if not rare or not counts.any():
        return factors
    limit = rare * counts[counts > 0].mean()
    of_class = np.sqrt(np.maximum(1.0, limit / np.maximum(counts, 1)))
    if (of_class[counts > 0] > 1).any():
        for place, found in enumerate(tags):
            factors[place] = max((of_class[tag] for tag in found), default=1.0)
    return factors


@dataclass(frozen=True)
class BatchOrder:
    """The images of each batch of a training. They depend on the seed and the epoch alone.

    A key of an item is a pair (turn, index). An image that an epoch shows several times has another turn each time, so
    that it is augmented in another way (`tasks.runtime.training_images.TrainingImages`).

    Attributes
    ----------
    draws : ndarray, (N,), float64
        How often an epoch shows each image on average. If that is no whole number, an epoch shows the image one time
        more or less than another epoch does.
    batch_size : int
    seed : int
    """

    draws: np.ndarray
    batch_size: int
    seed: int = 0

    @classmethod
    def of(cls, factors: np.ndarray, batch_size: int, seed: int, epochs: int, least_steps: int) -> BatchOrder:
        """The order for a training of at least `least_steps` steps.

        Parameters
        ----------
        factors : ndarray, (N,), float
            How often an epoch shows each image; all are multiplied by the same number if the steps are too few.
        batch_size, seed : int
        epochs : int
            Epochs of the training.
        least_steps : int
            Least number of steps in all epochs.

        Examples
        --------
        >>> BatchOrder.of(np.ones(100), 8, 0, epochs=4, least_steps=0).steps
        12
        >>> BatchOrder.of(np.ones(100), 8, 0, epochs=4, least_steps=240).steps
        60
        """
        order = cls(factors, batch_size, seed)
        if order.steps * epochs >= least_steps:
            return order
        wanted = math.ceil(least_steps / epochs) * batch_size
        return cls(factors * (wanted / factors.sum()), batch_size, seed)

    @property
    def items(self) -> int:
        """Number of items of an epoch, those of an incomplete last batch included."""
        return round(float(self.draws.sum()))

    @property
    def size(self) -> int:
        """Items of a batch. If an epoch has fewer than `batch_size`, they are one batch."""
        return min(self.batch_size, self.items)

    @property
    def steps(self) -> int:
        """Number of batches of an epoch. A last batch with fewer items is left out."""
        return self.items // self.size

    def batches(self, epoch: int) -> list[list[tuple[int, int]]]:
        """The keys (turn, index) of each batch of an epoch.

        How often an image comes is drawn by systematic sampling: one random offset for all images. So the epoch always
        has `items` items, each image has its mean number of them, and neighbours in the set differ the least.
        """
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(self.items)
        ends = np.cumsum(self.draws)
        ends[-1] = self.items  # the sum of many fractions is only nearly whole
        ends = np.floor(ends + rng.random()).astype(np.int64)
        counts = np.diff(ends, prepend=0)
        images = np.repeat(np.arange(len(counts)), counts)
        turns = epoch * self._most_turns + np.arange(self.items) - np.repeat(ends - counts, counts)
        keys = list(zip(turns[order].tolist(), images[order].tolist(), strict=True))
        return [keys[start : start + self.size] for start in range(0, self.steps * self.size, self.size)]

    @property
    def _most_turns(self) -> int:
        """Largest number of times that an epoch shows an image."""
        return math.ceil(float(self.draws.max()))
