"""What the card says of the data; tests/pipeline/test_export.py makes a whole export."""

import numpy as np
import pytest
from PIL import Image

from tasks.export_model import METHODS_TOLD, ExportModel, learnt_from
from tasks.methods import METHODS, trainer
from tasks.runtime.dag import stages


@pytest.fixture
def common(two_cups):
    return two_cups(48, 64)


def told(common, method, **settings):
    return learnt_from(method, stages(trainer(method)(**common, method=method, settings=settings)))


def test_every_method_that_trains_is_told():
    assert set(METHODS_TOLD) == {name for name, method in METHODS.items() if method.trainer}


def test_without_pixel_labels_the_card_says_so(common):
    assert told(common, "superpixel").endswith("from image tags and depth, without pixel labels.")
    assert told(common, "masking").endswith("from image tags and saliency, without pixel labels.")
    assert told(common, "coarse").endswith("on coarse pixel labels.")


def test_corrections_are_pixel_labels(common, tmp_path):
    (tmp_path / "set/corrections").mkdir()
    Image.fromarray(np.ones((48, 64), np.uint8)).save(tmp_path / "set/corrections/a.png")
    line = "and depth, and from pixel labels: the corrected label maps of 1 training images."
    assert told(common, "superpixel").endswith(line)
    assert told(common, "masking").endswith("without pixel labels.")  # it does not read them
    assert told(common, "superpixel", GenerateSeeds={"corrections": False}).endswith("without pixel labels.")


def test_ground_truth_as_saliency_is_told(common):
    assert "from pixel labels: the GROUND TRUTH of the training" in told(
        common, "masking", RefineSaliency={"ground_truth": True}
    )


@pytest.mark.parametrize("size", [0, 48])
def test_the_size_of_the_run_is_among_the_limits(common, size):
    export = ExportModel(**common, settings={"IndexDataset": {"size": size}})
    lines = [line for line in export._limits((64, 64)) if "at most 48 pixels on the longer side" in line]
    assert len(lines) == bool(size)
