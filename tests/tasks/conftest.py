"""Fixtures of the tests of tasks/."""

import logging

import pytest


@pytest.fixture
def log_lines():
    """The messages of the stages' log, which does not hand them on to other loggers."""
    messages = []

    class Collect(logging.Handler):
        def emit(self, record):
            messages.append(record.getMessage())

    handler, log = Collect(), logging.getLogger("depthseed")
    log.addHandler(handler)
    yield messages
    log.removeHandler(handler)
