import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import models.crf
from models.crf import crf_from_labels, crf_from_probabilities, crf_scale
from models.crf_constants import CRF_PRESETS, ENGINES, LATTICE_BYTES, CrfConstants

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


MEASURED = """
import numpy as np
from models.crf import crf_from_labels
from models.crf_constants import CRF_PRESETS
import dataclasses

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024

labels = np.arange(120 * 150).reshape(120, 150) // 6
image = (labels % 251).astype(np.uint8)[..., None].repeat(3, 2)
constants = dataclasses.replace(CRF_PRESETS["irn"], iterations=1)
before = peak()
refined = crf_from_labels(image, labels, 3000, constants)
print((peak() - before) / (3000 * labels.size), (refined == labels).mean())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_many_labels_take_little_more_than_one_float_per_label_and_pixel():
    """pydensecrf alone takes 28 to 32 bytes."""
    environment = {**os.environ, "PYTHONPATH": str(Path(models.crf.__file__).parent.parent)}
    result = subprocess.run(
        [sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True, env=environment
    )
    bytes_per_value, kept = map(float, result.stdout.split())
    assert bytes_per_value < 10  # the buffers of a group do not grow with the problem
    assert kept > 0.9


@pytest.mark.parametrize("engine", ENGINES)
def test_what_takes_too_much_memory_is_solved_on_a_smaller_image(monkeypatch, engine):
    image = two_colours(40, 48)
    labels = np.zeros((40, 48), np.int64)
    labels[:, 18:] = 1  # six columns off
    whole = crf_from_labels(image, labels, 2, CRF_PRESETS["irn"], engine)
    monkeypatch.setattr(models.crf, "MEMORY", 40 * 48 / 4 * (2 * 4 + LATTICE_BYTES))
    assert crf_scale(labels.shape, 2) == 0.5
    small = crf_from_labels(image, labels, 2, CRF_PRESETS["irn"], engine)
    assert (small.shape, small.dtype) == (labels.shape, np.int64)
    assert (small == whole).mean() > 0.99
    assert (small[::2, ::2] == small[1::2, 1::2]).all()  # squares of 2 x 2 pixels
    probabilities = np.where(np.arange(2)[:, None, None] == labels, 0.7, 0.3)
    refined = crf_from_probabilities(image, probabilities, CRF_PRESETS["irn"], engine)
    assert (refined.shape, refined.dtype) == ((2, 40, 48), np.float32)
    assert refined.sum(0) == pytest.approx(np.ones((40, 48)), abs=1e-3)
    assert (refined.argmax(0) == whole).mean() > 0.95


def test_the_number_of_labels_and_pixels_decides_over_the_scale():
    assert crf_scale((480, 640), 500) == 1
    for size, labels in (((480, 640), 5000), ((3000, 4000), 2), ((186_764, 500), 21)):
        scale = crf_scale(size, labels)
        assert 0 < scale < 1
        pixels = size[0] * size[1] * scale**2
        assert pixels * (4 * labels + LATTICE_BYTES) == pytest.approx(models.crf.MEMORY)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    with pytest.raises(ImportError, match="needs the package pydensecrf2"):
        crf_from_labels(two_colours(), np.zeros((10, 12), np.int64), 2, LOCAL)
