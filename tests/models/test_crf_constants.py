"""The presets of the dense CRF. Every preset and engine is tested; a new one needs no edit here."""

import dataclasses

import numpy as np
import pytest

from models.crf import crf_from_probabilities
from models.crf_constants import (
    CRF_PRESETS,
    ENGINES,
    GROUP_VALUES,
    LONGEST_SIDE,
    CrfConstants,
    group_size,
    installed_engine,
    pixel_blocks,
)


def test_the_presets_are_those_of_their_sources():
    assert CRF_PRESETS["default"] == CrfConstants(3, 3, 80, 13, 10, 5, 0.7)
    assert CRF_PRESETS["kim"] == CrfConstants(10, 10, 20, 5, 10, 20, 0.7)
    assert CRF_PRESETS["irn"] == CrfConstants(3, 3, 50, 5, 10, 10, 0.7)
    assert CRF_PRESETS["clip-es"] == CrfConstants(1, 3, 67, 3, 4, 10, 0.7)


@pytest.mark.parametrize("preset", sorted(CRF_PRESETS))
def test_constants_are_positive(preset):
    constants = CRF_PRESETS[preset]
    assert all(value > 0 for value in dataclasses.astuple(constants))
    assert isinstance(constants.iterations, int)
    assert constants.label_confidence < 1


def test_a_smaller_image_has_smaller_distances_and_the_same_colours():
    constants = CRF_PRESETS["irn"]
    assert constants.at(0.5) == dataclasses.replace(constants, gaussian_sxy=1.5, bilateral_sxy=25.0)


def test_lattice_coordinates_fit_into_16_bits():
    constants = CRF_PRESETS["clip-es"]
    assert constants.fitting((3000, 5000)) == constants
    strip = constants.fitting((186_764, 1))
    assert strip.gaussian_sxy == pytest.approx(186_764 / LONGEST_SIDE)
    assert strip.bilateral_sxy == constants.bilateral_sxy
    for features in ([LONGEST_SIDE] * 2, [LONGEST_SIDE] * 2 + [255 / 3] * 3):  # colours of clip-es
        dim = len(features)
        scales = [np.sqrt(2 / 3) * (dim + 1) / np.sqrt((axis + 1) * (axis + 2)) for axis in range(dim)]
        assert np.dot(scales, features) < 2**15 - dim


@pytest.mark.parametrize(
    ("labels", "pixels"), [(5, 1), (7, 640 * 480), (355, 320 * 240), (1300, 640 * 480), (9, 10**8)]
)
def test_groups_are_multiples_of_four_of_bounded_size_and_hardly_computed_in_vain(labels, pixels):
    group = group_size(labels, pixels)
    assert group % 4 == 0
    assert group == 4 or group * pixels <= GROUP_VALUES or group < labels + 4
    groups = -(-labels // group)
    assert groups * group - labels < 4 * groups


def test_blocks_cover_each_pixel_once():
    for labels, pixels in ((3, 10), (2**19, 5), (2**21, 3)):
        blocks = pixel_blocks(labels, pixels)
        assert [pixel for block in blocks for pixel in range(pixels)[block]] == list(range(pixels))


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
