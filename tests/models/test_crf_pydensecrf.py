"""Groups of labels, against the library's own inference over all labels at once."""

import numpy as np
import pytest

from models import crf_pydensecrf
from models.crf_constants import CRF_PRESETS
from models.crf_pydensecrf import beliefs_by_pydensecrf

densecrf = pytest.importorskip("pydensecrf.densecrf")


@pytest.mark.parametrize("preset", CRF_PRESETS)
@pytest.mark.parametrize("num_labels", [7, 13])
def test_groups_of_labels_give_the_bits_of_the_whole_inference(monkeypatch, preset, num_labels):
    rng, constants = np.random.default_rng(0), CRF_PRESETS[preset]
    image = (rng.random((24, 32, 3)) * 255).astype(np.uint8)
    unary = rng.random((num_labels, 24 * 32)).astype(np.float32) * 5
    crf = densecrf.DenseCRF2D(32, 24, num_labels)
    crf.setUnaryEnergy(unary)
    crf.addPairwiseGaussian(sxy=constants.gaussian_sxy, compat=constants.gaussian_compat)
    crf.addPairwiseBilateral(
        sxy=constants.bilateral_sxy, srgb=constants.bilateral_srgb, rgbim=image, compat=constants.bilateral_compat
    )
    expected = np.asarray(crf.inference(constants.iterations))
    monkeypatch.setattr(crf_pydensecrf, "WHOLE_MEMORY", 0)
    monkeypatch.setattr(crf_pydensecrf, "group_size", lambda labels, pixels: 4)
    monkeypatch.setattr(crf_pydensecrf, "pixel_blocks", lambda labels, pixels: [slice(0, 500), slice(500, pixels)])
    found = np.full_like(expected, np.nan)
    for pixels, beliefs in beliefs_by_pydensecrf(
        image, lambda first, end, pixels: unary[first:end, pixels], num_labels, constants
    ):
        found[:, pixels] = beliefs
    np.testing.assert_array_equal(found, expected)
