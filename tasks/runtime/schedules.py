"""Learning-rate schedules by name. Each is a function of the step alone, so there is nothing to save."""

from __future__ import annotations

import math

from tasks.runtime.parameters import Choice


def one_cycle(step: int, total: int, peak: float, steps_per_epoch: int) -> float:
    """Up from peak / 25 along a cosine during the first 30 % of the steps, then down to 0 (Smith and Topin, 2018).

    Parameters
    ----------
    step, total : int
    peak : float
        Highest learning rate.
    steps_per_epoch : int
    """
    rise = 0.3 * total
    if step < rise:
        return peak * (1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * step / rise)) / 2)
    return peak * (1 + math.cos(math.pi * (step - rise) / max(total - rise, 1))) / 2


def poly(step: int, total: int, peak: float, steps_per_epoch: int, warmup_epochs: float) -> float:
    """Linear from 1e-6 to the peak over `warmup_epochs`; the factor (1 - step / total)^0.9 afterwards.

    Parameters
    ----------
    step, total : int
    peak : float
        Highest learning rate.
    steps_per_epoch : int
    warmup_epochs : float
    """
    warmup = warmup_epochs * steps_per_epoch
    if step < warmup:
        return 1e-6 + (peak - 1e-6) * step / warmup
    return peak * (1 - step / total) ** 0.9


SCHEDULES: dict[str, Choice] = {
    "one_cycle": Choice(one_cycle),
    "poly": Choice(poly, ("warmup_epochs",)),
}
