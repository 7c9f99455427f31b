"""Learning rate schedules by name. Each depends only on the step, so a checkpoint need not save it."""

from __future__ import annotations

import math

from tasks.runtime.parameters import Choice


def one_cycle(step: int, total: int, peak: float, steps_per_epoch: int) -> float:
    """One cycle (Smith and Topin, 2018): up from peak / 25 in the first 30 % of the steps, then down to 0.

    Both parts are half a cosine wave, as in torch's OneCycleLR. Smith and Topin have straight lines.

    Parameters
    ----------
    step, total : int
        Index of the step, from 0, and number of steps.
    peak : float
        Highest learning rate.
    steps_per_epoch : int
        Not used.

    Returns
    -------
    float
        Learning rate of the step.
    """
    rise = 0.3 * total
    if step < rise:
        return peak * (1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * step / rise)) / 2)
    return peak * (1 + math.cos(math.pi * (step - rise) / max(total - rise, 1))) / 2


def poly(step: int, total: int, peak: float, steps_per_epoch: int, warmup_epochs: float) -> float:
    """Poly schedule of DeepLab (Chen et al., TPAMI 2018), peak (1 - step / total)^0.9, after a linear warm-up.

    The warm-up rises from 1e-6 to the peak over `warmup_epochs`. Its steps count in step / total, too.

    Parameters
    ----------
    step, total : int
        Index of the step, from 0, and number of steps with the warm-up.
    peak : float
        Learning rate to which the warm-up rises.
    steps_per_epoch : int
    warmup_epochs : float

    Returns
    -------
    float
        Learning rate of the step.
    """
    warmup = warmup_epochs * steps_per_epoch
    if step < warmup:
        return 1e-6 + (peak - 1e-6) * step / warmup
    return peak * (1 - step / total) ** 0.9


SCHEDULES: dict[str, Choice] = {
    "one_cycle": Choice(one_cycle),
    "poly": Choice(poly, ("warmup_epochs",)),
}
"""name -> function (step, total, peak, steps per epoch, parameters of the choice) -> learning rate."""
