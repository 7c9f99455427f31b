"""The run that the tests of the page look at."""

import pytest

from pipeline.asked import parsed
from pipeline.view.run import ViewedRun


@pytest.fixture
def viewed():
    """A function: a finished run of the command line, and flags -> what the page sees of it."""

    def of(line, *flags) -> ViewedRun:
        with parsed("WriteReport", [*line.flags(), *flags]) as report:
            return ViewedRun(report)

    return of


@pytest.fixture
def run(finished_once, in_process, viewed) -> ViewedRun:
    """The run that all tests share. Not to be changed."""
    return viewed(finished_once)
