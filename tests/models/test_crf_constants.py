"""The presets of the dense CRF. Every preset and engine is tested; a new one needs no edit here."""

import dataclasses

import numpy as np
import pytest

from models.crf import crf_from_probabilities
from models.crf_constants import CRF_PRESETS, ENGINES, CrfConstants, installed_engine


def test_the_presets_are_those_of_their_sources():
    assert CRF_PRESETS["kim"] == CrfConstants(10, 10, 20, 5, 10, 20, 0.7)
    assert CRF_PRESETS["irn"] == CrfConstants(3, 3, 50, 5, 10, 10, 0.7)
    assert CRF_PRESETS["clip-es"] == CrfConstants(1, 3, 67, 3, 4, 10, 0.7)


@pytest.mark.parametrize("preset", sorted(CRF_PRESETS))
def test_constants_are_positive(preset):
    constants = CRF_PRESETS[preset]
    assert all(value > 0 for value in dataclasses.astuple(constants))
    assert isinstance(constants.iterations, int)
    assert constants.label_confidence < 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("preset", sorted(CRF_PRESETS))
def test_every_engine_moves_classes_to_the_colour_edge(preset, engine):
    if installed_engine(engine) != engine:
        pytest.skip("pydensecrf2 has no build for Python 3.13 and newer")
    image = np.full((12, 16, 3), 40, np.uint8)
    image[:, 8:] = 200
    probabilities = np.full((2, 12, 16), 0.25)
    probabilities[0, :, :7] = probabilities[1, :, 7:] = 0.75  # one column off
    found = crf_from_probabilities(image, probabilities, CRF_PRESETS[preset], engine)
    assert found.sum(0) == pytest.approx(np.ones((12, 16)), abs=1e-4)
    assert (found.argmax(0) == (np.arange(16) >= 8)).all()
