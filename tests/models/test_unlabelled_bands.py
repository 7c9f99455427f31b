import numpy as np
import pytest

from models.label_values import UNLABELLED
from models.unlabelled_bands import without_bands


@pytest.mark.parametrize(("width", "is_void"), [(1, False), (5, False), (8, False), (9, True)])
def test_a_band_has_no_room_for_a_disk_of_4_pixels(width, is_void):
    """The disk is 9 pixels across. Bands that run into the edge of the image are no wider."""
    truth = np.zeros((40, 40), np.uint16)
    truth[:, 20 + width :] = 1
    truth[:, 20 : 20 + width] = UNLABELLED
    labels, void = without_bands(truth)
    assert void.any() == is_void
    assert (labels == UNLABELLED).sum() == 0
    border = np.flatnonzero(labels[10] == 1)[0]
    assert abs(border - (20 + width / 2)) <= 1
    if is_void:
        assert np.array_equal(void, truth == UNLABELLED)


def test_without_any_label_everything_is_void():
    truth = np.full((3, 4), UNLABELLED, np.uint16)
    labels, void = without_bands(truth)
    assert np.array_equal(labels, truth)
    assert void.all()
