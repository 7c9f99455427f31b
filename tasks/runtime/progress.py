"""Progress of long computations: a bar on a terminal, or a line every 30 seconds in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

log = logging.getLogger("depthseed")

SECONDS_PER_LINE = 30.0
"""Time between two lines in a log."""

T = TypeVar("T")


class Progress:
    """Counts what is done and shows it on stderr.

    Parameters
    ----------
    title : str
        Name of the stage.
    total : int or None
        Number of units to do; None if it is not known.
    unit : str
        What is counted, in the singular.
    initial : int
        Number of units that an earlier run has done.
    scale : bool
        Show large counts in the bar as 1.2M.
    """

    def __init__(self, title: str, total: int | None, unit: str, initial: int = 0, scale: bool = False):
        self.title, self.total, self.unit = title, total, unit
        self.done, self.initial = initial, initial
        self.started = self.told = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.bar = tqdm(
            total=total, initial=initial, desc=title, unit=unit, unit_scale=scale, dynamic_ncols=True,
            disable=not self.terminal,
        )  # fmt: skip

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error) -> None:
        self.bar.close()

    def update(self, count: int = 1, note: str = "") -> None:
        """Add `count` done units; `note` is shown beside the count."""
        self.done += count
        if note:
            self.bar.set_postfix_str(note, refresh=False)
        self.bar.update(count)
        now = time.monotonic()
        if not self.terminal and now - self.told >= SECONDS_PER_LINE:
            self.told = now
            log.info("%s", self.line(now - self.started, note))

    def line(self, seconds: float, note: str = "") -> str:
        """The line for a log: done, total, rate and time left.

        Parameters
        ----------
        seconds : float
            Time since the start in this process.
        note : str
            Text at the end of the line.
        """
        rate = (self.done - self.initial) / seconds if seconds > 0 else 0.0
        of = f" of {self.total}" if self.total is not None else ""
        parts = [f"{self.title}: {self.done}{of} {self.unit}s", f"{rate:.3g} {self.unit}s/s"]
        if self.total is not None and rate > 0:
            parts.append(f"{duration((self.total - self.done) / rate)} left")
        return ", ".join([*parts, *([note] if note else [])])


def duration(seconds: float) -> str:
    """A time as text: ``45 s``, ``12 min`` or ``3 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def track(
    items: Iterable[T], title: str, total: int, unit: str, report: Callable[[int, int, str], None] | None = None
) -> Iterator[T]:
    """Iterate over items and show the progress.

    Parameters
    ----------
    items : iterable
    title, total, unit
        As of `Progress`.
    report : callable, optional
        Called with (done, total, unit) after each item.
    """
    with Progress(title, total, unit) as progress:
        for done, item in enumerate(items, start=1):
            yield item
            progress.update()
            if report:
                report(done, total, unit)
