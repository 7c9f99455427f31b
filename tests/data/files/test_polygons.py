import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes, gaussian_filter, label

from data.files.polygons import corners, joined, parts_of

cv2 = pytest.importorskip("cv2")


def blobs(seed, size=(48, 64), sigma=2.0):
    values = gaussian_filter(np.random.default_rng(seed).standard_normal(size), sigma)
    return values > np.quantile(values, 0.55)


def filled(lines, shape):
    mask = np.zeros(shape, np.uint8)
    for line in lines:
        one = np.zeros(shape, np.uint8)
        cv2.fillPoly(one, [line.astype(np.int32)], 1)
        mask |= one
    return mask > 0


@pytest.mark.parametrize("seed", range(6))
def test_a_part_and_its_holes_are_one_line_that_fills_to_the_mask(seed):
    mask = blobs(seed)
    parts = parts_of(mask)
    assert len(parts) == label(mask, np.ones((3, 3)))[1]
    assert sum(len(part) - 1 for part in parts) == label(binary_fill_holes(mask) & ~mask)[1]
    lines = [corners(joined(part)) for part in parts]
    assert np.array_equal(filled(lines, mask.shape), mask)


@pytest.mark.parametrize("seed", range(6))
def test_bridges_between_parts_are_the_shortest(seed):
    """The length of what is added is that of a minimum spanning tree of the parts, by a plain search (Prim)."""
    parts = [part[0] for part in parts_of(blobs(seed, sigma=3.0))]
    inside, length = {0}, 0.0
    while len(inside) < len(parts):
        distance, new = min(
            (np.linalg.norm(parts[here][:, None] - parts[there][None], axis=2).min(), there)
            for here in inside
            for there in set(range(len(parts))) - inside
        )
        inside.add(new)
        length += distance

    def walked(line):
        return np.linalg.norm(line - np.roll(line, -1, axis=0), axis=1).sum()

    assert walked(joined(parts)) == pytest.approx(sum(map(walked, parts)) + 2 * length)


def test_corners_keep_the_shape_and_turns_on_the_spot():
    there_and_back = np.array([[0, 0], [1, 0], [2, 0], [1, 0]])
    assert corners(there_and_back).tolist() == [[0, 0], [2, 0], [2, 0]]
    assert corners(np.array([[3, 4]])).tolist() == [[3, 4]] * 3
    assert corners(np.array([[0, 0], [0, 0], [4, 0], [4, 3]])).tolist() == [[0, 0], [4, 0], [4, 3]]


def test_nothing_has_no_part():
    assert parts_of(np.zeros((3, 4), bool)) == []
