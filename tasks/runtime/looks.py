"""The moments in which a training looks up from its steps: at its losses, at the clock and at its signals."""

from __future__ import annotations

import time

import torch

from tasks.runtime.ranks import Ranks
from tasks.runtime.stop_requests import StopRequests

LOOK_STEPS = 50
"""Largest number of steps between two looks. At a look, the device is waited for."""

LOOK_SECONDS = 1.0
"""Time between two looks of several ranks, about."""


class Looks:
    """When a training looks at its losses, at the clock and at its signals. All ranks do it after the same steps.

    Attributes
    ----------
    wants_checkpoint, wants_end : bool
        What the ranks have agreed on.
    """

    def __init__(self, ranks: Ranks, asked: StopRequests, minutes: float, device: torch.device):
        self.ranks, self.asked, self.seconds = ranks, asked, 60 * minutes
        self.steps = LOOK_STEPS if device.type == "cuda" else 1
        self.written = self.last = time.monotonic()
        self.last_step = self.next_step = 0
        self.wants_checkpoint = self.wants_end = False

    def _is_late(self) -> bool:
        return 0 < self.seconds <= time.monotonic() - self.written

    def _is_wanted(self) -> bool:
        """True if this rank wants a checkpoint, also for a SIGTERM that came while the last one was written."""
        return self.asked.wants_checkpoint or self.asked.wants_end or self._is_late()

    def is_due(self, step: int) -> bool:
        """True if all ranks call `agree` after this step."""
        if self.ranks.count > 1:
            return step >= self.next_step
        return step % self.steps == 0 or self._is_wanted()

    def agree(self, step: int) -> None:
        """Ask all ranks for signals, and the first rank for the time."""
        now = time.monotonic()
        rate = max(step - self.last_step, 1) / max(now - self.last, 1e-3)
        wait = min(max(int(rate * LOOK_SECONDS), 1), LOOK_STEPS)
        self.last, self.last_step = now, step
        wishes = [self._is_wanted(), self.asked.wants_end, wait]
        checkpoint, end, wait = self.ranks.largest([int(wish) for wish in wishes])
        self.wants_checkpoint, self.wants_end = bool(checkpoint), bool(end)
        self.next_step = step + wait

    def saved(self) -> None:
        """Note that the checkpoint is written."""
        self.written = time.monotonic()
        self.asked.saved()
