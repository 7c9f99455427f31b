import numpy as np
import pytest
from reader_contract import SIZE, check_layout, read

from data.errors import DatasetError


def make_pannuke(root):
    for fold in (1, 2, 3):
        home = root / "pannuke" / (f"Fold {fold}" if fold == 2 else f"fold{fold}")
        masks = np.zeros((2, *SIZE, 6))
        masks[:, :4, :4, 2] = 5
        for kind, values in (("images", np.full((2, *SIZE, 3), 90.0)), ("masks", masks)):
            (home / kind / f"fold{fold}").mkdir(parents=True)
            np.save(home / kind / f"fold{fold}" / f"{kind}.npy", values)


def test_the_official_layout_is_indexed(tmp_path):
    make_pannuke(tmp_path)
    check_layout("pannuke", tmp_path, (4, 2), 5, (3,), 3)


def test_arrays_of_different_length_are_named(tmp_path):
    make_pannuke(tmp_path)
    np.save(tmp_path / "pannuke/fold3/masks/fold3/masks.npy", np.zeros((1, *SIZE, 6)))
    with pytest.raises(DatasetError, match="masks.npy: has 1 masks for 2 images"):
        read("pannuke", tmp_path)
