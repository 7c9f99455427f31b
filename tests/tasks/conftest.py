"""Fixtures of the tests of tasks/."""

import logging

import numpy as np
import pytest
from PIL import Image


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


@pytest.fixture
def two_cups(in_process, tmp_path):
    """A function: height and width -> the parameters of a stage for a set of two images, each with the tag ``cup``."""

    def of(*size: int) -> dict[str, str]:
        root = tmp_path / "set"
        (root / "images").mkdir(parents=True)
        for name in ("a", "b"):
            Image.fromarray(np.full((*size, 3), 70 + ord(name), np.uint8)).save(root / f"images/{name}.png")
        (root / "labels.csv").write_text("image,tags\na.png,cup\nb.png,cup\n")
        return {"dataset": "folder", "data_root": str(root), "artifacts": str(tmp_path / "artifacts"), "device": "cpu"}

    return of
