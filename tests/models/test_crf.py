import sys

import numpy as np
import pytest

from models.crf import crf_from_labels, crf_from_probabilities
from models.crf_constants import CRF_PRESETS, CrfConstants

pytest.importorskip("pydensecrf", reason="pydensecrf2 has no build for Python 3.13 and newer")

# Few iterations of strong, local terms: the naive sum below stays small.
LOCAL = CrfConstants(2, 2, 3, 20, 5, 3, 0.7)


def two_colours(height=10, width=12):
    image = np.full((height, width, 3), 40, np.uint8)
    image[:, width // 2 :] = 200
    return image


def reference_mean_field(image, unary, constants):
    """Mean field of Kraehenbuehl and Koltun (alg. 1) by sums over all pixel pairs, Potts compatibility.

    As in the reference library, each kernel is normalised symmetrically, by the roots of its row sums.
    """
    labels, pixels = unary.shape
    height, width = image.shape[:2]
    rows, columns = np.divmod(np.arange(pixels), width)
    square = (rows[:, None] - rows) ** 2 + (columns[:, None] - columns) ** 2
    colours = image.reshape(-1, 3).astype(float)
    colour_square = ((colours[:, None] - colours) ** 2).sum(-1)
    kernels = [
        (constants.gaussian_compat, np.exp(-square / (2 * constants.gaussian_sxy**2))),
        (
            constants.bilateral_compat,
            np.exp(-square / (2 * constants.bilateral_sxy**2) - colour_square / (2 * constants.bilateral_srgb**2)),
        ),
    ]
    kernels = [(w, k / np.sqrt(k.sum(1)[:, None] * k.sum(1))) for w, k in kernels]

    def softmax(energy):
        values = np.exp(-(energy - energy.min(0)))
        return values / values.sum(0)

    q = softmax(unary)
    for _ in range(constants.iterations):
        energy = unary.astype(float).copy()
        for weight, kernel in kernels:
            energy -= weight * (q @ kernel)  # Potts: only the same label counts
        q = softmax(energy)
    return q


def test_close_to_the_sum_over_all_pairs():
    """The library filters on a permutohedral lattice, an approximation: labels agree, values nearly agree."""
    rng = np.random.default_rng(0)
    image = two_colours()
    probabilities = rng.dirichlet((1, 1, 1), 120).T
    expected = reference_mean_field(image, -np.log(probabilities), LOCAL)
    found = crf_from_probabilities(image, probabilities.reshape(3, 10, 12), LOCAL).reshape(3, -1)
    assert np.abs(found - expected).mean() < 0.1
    sure = expected.max(0) > 0.7
    assert sure.sum() > 40
    assert (found.argmax(0) == expected.argmax(0))[sure].mean() > 0.95


def test_labels_move_to_the_colour_edge():
    image = two_colours(20, 24)
    labels = np.zeros((20, 24), np.int64)
    labels[:, 10:] = 1  # two columns off
    refined = crf_from_labels(image, labels, 2, CRF_PRESETS["irn"])
    assert (refined == (np.arange(24) >= 12)).mean() > 0.98


def test_probabilities_stay_probabilities_and_read_only_images_work():
    image = two_colours()
    image.setflags(write=False)
    q = crf_from_probabilities(image, np.random.default_rng(1).dirichlet((1, 1), 120).T.reshape(2, 10, 12), LOCAL)
    assert q.shape == (2, 10, 12)
    assert q.sum(0) == pytest.approx(np.ones((10, 12)), abs=1e-4)


def test_one_label_needs_no_crf():
    image = two_colours()
    assert not crf_from_labels(image, np.zeros((10, 12), np.int64), 1, LOCAL).any()
    assert (crf_from_probabilities(image, np.ones((1, 10, 12)), LOCAL) == 1).all()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    with pytest.raises(ImportError, match="needs the package pydensecrf2"):
        crf_from_labels(two_colours(), np.zeros((10, 12), np.int64), 2, LOCAL)
