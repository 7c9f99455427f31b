"""What became of faults: the outcomes, and the table of a campaign."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from data.errors import DepthseedError


class Outcome(StrEnum):
    """What the program did with a fault; the values are the titles of the columns."""

    NOTICED = "noticed"
    BY_VERIFY = "noticed by verify only"
    HARMLESS = "harmless or legal"
    WRONG = "served wrong"
    TRACEBACK = "tracebacks"


FAILURES = (Outcome.WRONG, Outcome.TRACEBACK)


@dataclass
class Row:
    """The outcomes of one kind of fault.

    Attributes
    ----------
    title : str
    counts : Counter
        Outcome -> number of trials.
    healings, healed : int
        How often a run had to mend the damage, and how often it ended with the right bytes.
    problems : list of str
        One line for each failure.
    """

    title: str
    counts: Counter = field(default_factory=Counter)
    healings: int = 0
    healed: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome, what: str = "") -> None:
        """Count a trial. `what` says what was done and what came of it; it is kept for a failure."""
        self.counts[outcome] += 1
        if outcome in FAILURES:
            self.problems.append(f"{self.title}: {outcome}: {what}")

    def add_healing(self, problem: str = "", is_traceback: bool = False) -> None:
        """Count a healing; `problem` says what was wrong with it. A wrong result counts as served wrong."""
        self.healings += 1
        if problem:
            self.add(Outcome.TRACEBACK if is_traceback else Outcome.WRONG, problem)
        else:
            self.healed += 1

    @property
    def tried(self) -> int:
        """Number of trials."""
        return self.counts.total()

    def line(self) -> str:
        """The row of a Markdown table."""
        healed = f"{self.healed} of {self.healings}" if self.healings else ""
        noticed, by_verify, harmless, *failures = (self.counts[outcome] for outcome in Outcome)
        cells = [self.title, self.tried, noticed, by_verify, harmless, healed, *failures]
        return f"| {' | '.join(map(str, cells))} |"


def outcome_of_error(error: Exception, names: Sequence[object]) -> tuple[Outcome, str]:
    """NOTICED for an error for the user: one line that has one of `names` in it. Everything else is a failure."""
    line = str(error)
    if not isinstance(error, DepthseedError):
        return Outcome.TRACEBACK, f"{type(error).__name__}: {line:.300}"
    if "\n" in line or not any(str(name) in line for name in names):
        return Outcome.TRACEBACK, f"the error does not name the file in one line: {line:.300}"
    return Outcome.NOTICED, line


def markdown(rows: Sequence[Row]) -> str:
    """The table of all kinds of faults, with a line of sums."""
    lines = [
        f"| fault | tried | {Outcome.NOTICED} | {Outcome.BY_VERIFY} | {Outcome.HARMLESS} | healed | {Outcome.WRONG} "
        f"| {Outcome.TRACEBACK} |",
        "| --- |" + " ---: |" * 7,
    ]
    total = Row("all")
    for row in rows:
        total.counts += row.counts
        total.healings += row.healings
        total.healed += row.healed
    return "\n".join([*lines, *(row.line() for row in [*rows, total])])
