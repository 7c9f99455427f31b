"""Label values of `models` are those of files and samples."""

import numpy as np

import data.sample
from models.label_values import UNLABELLED
from models.seeds import BACKGROUND


def test_models_and_data_agree_and_16_bits_hold_them_beside_every_class():
    assert UNLABELLED == data.sample.UNLABELLED
    assert BACKGROUND == data.sample.BACKGROUND
    assert BACKGROUND == 0
    assert data.sample.LARGEST_CLASS < UNLABELLED == np.iinfo(np.uint16).max
