import numpy as np

from models.palette import palette


def test_classes_have_different_colours():
    assert len({tuple(colour) for colour in palette(21)}) == 21


def test_a_thousand_classes_have_colours_that_repeat():
    assert np.array_equal(palette(1204)[[300, 1]], palette(1204)[[280, 21]])
    assert np.array_equal(palette(1204)[:21], palette(21))
