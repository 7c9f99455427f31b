import numpy as np
import pytest
import torch

from models import mean_field
from models.crf import crf_from_labels, crf_from_probabilities
from models.crf_constants import CRF_PRESETS, CrfConstants
from models.mean_field import PermutohedralLattice


def scene(height=40, width=52, labels=3):
    """Smooth colours with an edge, and probabilities that are often wrong."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows * 3, columns * 2, (columns > width // 2) * 120], 2) + rng.integers(0, 9, (height, width, 3))
    probabilities = rng.dirichlet([0.7] * labels, (height, width)).transpose(2, 0, 1)
    return image.astype(np.uint8), probabilities.astype(np.float32)


@pytest.mark.parametrize("preset", sorted(CRF_PRESETS))
def test_the_two_engines_agree(preset):
    pytest.importorskip("pydensecrf", reason="pydensecrf2 has no build for Python 3.13 and newer")
    image, probabilities = scene()
    expected, found = (
        crf_from_probabilities(image, probabilities, CRF_PRESETS[preset], engine) for engine in ("pydensecrf", "torch")
    )
    assert np.abs(found - expected).max() < 2e-3
    assert (found.argmax(0) == expected.argmax(0)).mean() > 0.999


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_the_lattice_filters_nearly_as_the_sum_over_all_pairs(dim):
    generator = torch.Generator().manual_seed(dim)
    features = 2 * torch.rand(300, dim, generator=generator)
    values = torch.rand(1, 300, generator=generator)
    exact = values @ torch.exp(-torch.cdist(features, features).square() / 2)
    found = PermutohedralLattice(features).filter(values)
    ratio = (found / exact).flatten()
    assert float(ratio.std() / ratio.mean()) < 0.12  # up to a constant factor


def test_each_point_spreads_a_weight_of_one_over_the_corners_of_its_simplex():
    lattice = PermutohedralLattice(torch.randn(50, 4, generator=torch.Generator().manual_seed(0)))
    assert lattice.weights.sum(1) == pytest.approx(np.ones(50), abs=1e-5)
    assert lattice.weights.min() >= -1e-6


def test_groups_of_labels_and_blocks_of_pixels_change_nothing_but_the_last_digit(monkeypatch):
    image, probabilities = scene(labels=7)
    whole = crf_from_probabilities(image, probabilities, CRF_PRESETS["irn"], "torch")
    monkeypatch.setattr(mean_field, "group_size", lambda labels, pixels: 4)
    monkeypatch.setattr(mean_field, "pixel_blocks", lambda labels, pixels: [slice(0, 999), slice(999, pixels)])
    monkeypatch.setattr(mean_field, "POINTS_AT_ONCE", 700)
    parts = crf_from_probabilities(image, probabilities, CRF_PRESETS["irn"], "torch")
    np.testing.assert_allclose(parts, whole, atol=5e-6)
    np.testing.assert_array_equal(parts.argmax(0), whole.argmax(0))


def test_labels_are_those_of_the_best_probability():
    image, _ = scene()
    labels = np.random.default_rng(1).integers(0, 6, image.shape[:2])
    constants = CRF_PRESETS["irn"]
    probabilities = np.where(np.arange(6)[:, None, None] == labels, 0.7, 0.3 / 5)
    expected = crf_from_probabilities(image, probabilities, constants, "torch").argmax(0)
    np.testing.assert_array_equal(crf_from_labels(image, labels, 6, constants, "torch"), expected)


def test_one_pixel_and_one_colour():
    one = crf_from_probabilities(
        np.zeros((1, 1, 3), np.uint8), np.array([[[0.7]], [[0.3]]]), CRF_PRESETS["irn"], "torch"
    )
    assert one.argmax(0) == 0
    flat = crf_from_probabilities(
        np.full((6, 7, 3), 9, np.uint8), np.full((2, 6, 7), 0.5), CrfConstants(2, 1, 2, 5, 1, 3), "torch"
    )
    assert flat == pytest.approx(np.full((2, 6, 7), 0.5), abs=1e-4)


def test_an_unknown_engine_is_named():
    with pytest.raises(ValueError, match="engine must be one of"):
        crf_from_probabilities(*scene(), CRF_PRESETS["irn"], "cuda")
