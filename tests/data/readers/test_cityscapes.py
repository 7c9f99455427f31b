import numpy as np
from reader_contract import SIZE, check_layout, picture, read, save

from data.files.labels import read_layers, read_truth
from data.sample import UNLABELLED


def make_cityscapes(root):
    home = root / "cityscapes"
    fine = np.full(SIZE, 7, np.uint8)
    fine[:4, :4], fine[-1] = 33, 0
    coarse = np.where(np.arange(SIZE[1]) % 5 > 1, fine, 0).astype(np.uint8)
    for split in ("train", "val"):
        stem = "aachen/aachen_000000_000019"
        save(home / "leftImg8bit" / split / f"{stem}_leftImg8bit.png", picture())
        save(home / "gtFine" / split / f"{stem}_gtFine_labelIds.png", fine)
        save(home / "gtCoarse" / split / f"{stem}_gtCoarse_labelIds.png", coarse)


def test_the_official_layout_is_indexed(tmp_path):
    make_cityscapes(tmp_path)
    check_layout("cityscapes", tmp_path, (1, 1), 18, (18,), 18)


def test_coarse_labels_are_read(tmp_path):
    make_cityscapes(tmp_path)
    index = read("cityscapes", tmp_path)
    sample = index.samples[0]
    coarse, fine = read_layers(sample, sample.coarse, 18), read_truth(sample, 18)
    assert set(np.unique(coarse)) == {0, 18, UNLABELLED}
    assert np.array_equal(coarse[coarse != UNLABELLED], fine[coarse != UNLABELLED])
