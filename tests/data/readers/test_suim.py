import numpy as np
from reader_contract import SIZE, check_layout, picture, save


def make_suim(root):
    for folder in ("train_val", "TEST"):
        save(root / "SUIM" / folder / "images" / "d_r_1_.jpg", picture())
        colours = np.zeros((*SIZE, 3), np.uint8)
        colours[:4, :4] = (255, 255, 0)
        save(root / "SUIM" / folder / "masks" / "d_r_1_.bmp", colours)


def test_the_official_layout_is_indexed(tmp_path):
    make_suim(tmp_path)
    check_layout("suim", tmp_path, (1, 1), 7, (6,), 6)
