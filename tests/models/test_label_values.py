"""Label values of `models` are those of files and samples."""

import data.sample
from models.label_values import UNLABELLED
from models.seeds import BACKGROUND


def test_models_and_data_agree_and_a_byte_holds_them():
    assert UNLABELLED == data.sample.UNLABELLED
    assert BACKGROUND == data.sample.BACKGROUND
    assert 0 <= BACKGROUND < UNLABELLED <= 255
