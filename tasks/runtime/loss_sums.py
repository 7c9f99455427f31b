"""Sums of losses that stay on the device: a training step never waits until the device has computed its loss."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


class LossSums:
    """The sums of the losses of an epoch, and its first step whose loss is not finite.

    Parameters
    ----------
    device : torch.device
    sums : dict of name -> float
        Sums of the steps that an earlier run has done.
    """

    def __init__(self, device: torch.device, sums: Mapping[str, float] | None = None):
        self.device = device
        # As sums of Python's floats; MPS has no float64.
        self.kind = torch.float32 if device.type == "mps" else torch.float64
        self.names = list(sums or {})
        self.totals = torch.tensor(list((sums or {}).values()), dtype=self.kind, device=device)
        self.wrong = torch.tensor([-1.0, 0.0], dtype=self.kind, device=device)
        self.last = torch.zeros((), dtype=self.kind, device=device)

    def add(self, losses: Mapping[str, Tensor], step: int) -> None:
        """Add the losses of a step, scalars on the device. One of them is ``loss``."""
        values = torch.stack([value.detach().to(self.kind) for value in losses.values()])
        if not self.names:
            self.names, self.totals = list(losses), torch.zeros_like(values)
        self.totals = self.totals + values
        self.last = values[list(losses).index("loss")]
        is_first = (self.wrong[0] < 0) & ~self.last.isfinite()
        found = torch.stack([torch.full_like(self.last, step), self.last])
        self.wrong = torch.where(is_first, found, self.wrong)

    def first_wrong(self) -> tuple[int, float] | None:
        """The first step whose loss was not finite, and this loss; None if all were. Waits for the device."""
        step, loss = self.wrong.tolist()
        return None if step < 0 else (int(step), loss)

    def last_loss(self) -> float:
        """The loss of the last step. Waits for the device."""
        return float(self.last)

    def sums(self) -> dict[str, float]:
        """Name -> sum. Waits for the device."""
        return dict(zip(self.names, self.totals.tolist(), strict=True))


def added(parts: list[dict[str, float]]) -> dict[str, float]:
    """The sums of several ranks added up.

    Examples
    --------
    >>> added([{"loss": 1.0}, {"loss": 2.5}])
    {'loss': 3.5}
    """
    return {name: math.fsum(part[name] for part in parts) if len(parts) > 1 else parts[0][name] for name in parts[0]}
