"""Contours against the scan of OpenCV in plain loops, and against OpenCV itself where it is installed."""

import numpy as np
import pytest

from models.superpixel_contours import contours


def scan(labels):
    """The loop of OpenCV's superpixel classes: np > 1 neighbours that differ and are not taken."""
    height, width = labels.shape
    taken = np.zeros((height, width), bool)
    for row in range(height):
        for column in range(width):
            others = 0
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    y, x = row + down, column + right
                    if 0 <= y < height and 0 <= x < width and not taken[y, x]:
                        others += labels[y, x] != labels[row, column]
            taken[row, column] = others > 1
    return taken


@pytest.mark.parametrize("seed", range(6))
def test_equals_the_scan(seed):
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 30, 2)
    blocks = np.kron(rng.integers(0, 4, (8, 8)), np.ones((5, 6), int))
    labels = blocks[: size[0], : size[1]].copy()
    noisy = rng.random(labels.shape) < 0.05 * seed  # fragments of single pixels, as SLIC without cleaning has them
    labels[noisy] = rng.integers(0, 4, noisy.sum())
    assert (contours(labels) == scan(labels)).all()
    everywhere = rng.integers(0, 9, (23, 17))
    assert (contours(everywhere) == scan(everywhere)).all()


def test_a_straight_border_is_one_pixel_wide_and_the_frame_of_the_image_is_none():
    upright = np.zeros((6, 8), int)
    upright[:, 5:] = 7
    assert contours(upright).sum(1).tolist() == [1] * 6
    assert contours(upright.T).sum(0).tolist() == [1] * 6
    assert not contours(np.zeros((5, 5), int)).any()


@pytest.mark.parametrize("name", ["SLIC", "LSC", "SEEDS"])
def test_equals_opencv(name):
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 255, (5, 6, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    image = np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8)
    if name == "SEEDS":
        superpixels = cv2.ximgproc.createSuperpixelSEEDS(image.shape[1], image.shape[0], 3, 20, 3)
        superpixels.iterate(image, 4)
    else:
        create = getattr(cv2.ximgproc, f"createSuperpixel{name}")
        superpixels = create(image, region_size=16)
        superpixels.iterate(4)
    labels = superpixels.getLabels()
    assert labels.max() > 5
    assert (contours(labels) == (superpixels.getLabelContourMask(thick_line=False) != 0)).all()
