"""Signals during a training: the state is written first. SIGTERM then ends the process, SIGUSR1 does not.

SLURM sends SIGTERM at the time limit of a job, and any other signal before (``#SBATCH --signal``).
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from types import FrameType
from typing import Any

SAVING = (signal.SIGTERM, signal.SIGUSR1)
"""Signals after which a checkpoint is written."""


SAME_SECONDS = 10.0
"""Time in which several SIGTERM are one request: a job's manager and torchrun both send it."""


class StopRequests:
    """Keeps the signals of `SAVING` for the training loop while it is entered.

    A SIGTERM that comes `SAME_SECONDS` after another one has its usual effect at once. Only the main thread gets
    signals; in another thread, nothing changes.

    Attributes
    ----------
    wants_checkpoint : bool
        A signal came since the last `saved`.
    wants_end : bool
        SIGTERM came.
    """

    def __init__(self) -> None:
        self.wants_checkpoint = self.wants_end = False
        self.before: dict[int, Any] = {}
        self.asked = math.inf

    def __enter__(self) -> StopRequests:
        if threading.current_thread() is threading.main_thread():
            for number in SAVING:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self.before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.wants_checkpoint = True
        if number == signal.SIGTERM:
            now = time.monotonic()
            self.wants_end, self.asked = True, min(self.asked, now)
            if now - self.asked > SAME_SECONDS:
                self.end()
        elif callable(handler := self.before.get(number)):
            handler(number, frame)

    def saved(self) -> None:
        """Note that the checkpoint is written."""
        self.wants_checkpoint = False

    def end(self) -> None:
        """Let SIGTERM have the effect that it has without this object."""
        self.__exit__()
        os.kill(os.getpid(), signal.SIGTERM)
