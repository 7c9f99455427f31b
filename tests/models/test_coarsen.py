import numpy as np
import pytest

from models.coarsen import erode_labels, simplify_labels
from models.label_values import UNLABELLED


def reference_erosion(labels, radius):
    """A pixel keeps its label if the disk around it, inside the image, has no other label."""
    height, width = labels.shape
    coarse = np.full_like(labels, UNLABELLED)
    reach = int(np.ceil(radius))
    for y in range(height):
        for x in range(width):
            disk = [
                labels[min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)]
                for dy in range(-reach, reach + 1)
                for dx in range(-reach, reach + 1)
                if dy * dy + dx * dx <= radius * radius
            ]
            if all(label == labels[y, x] for label in disk):
                coarse[y, x] = labels[y, x]
    return coarse


@pytest.mark.parametrize("classes", [[0, 1, 2, UNLABELLED], [44, 255, 300, UNLABELLED]])
@pytest.mark.parametrize("radius", [0, 1, 2, 4])
def test_erosion_equals_the_loops(radius, classes):
    rng = np.random.default_rng(0)
    labels = np.kron(rng.choice(classes, (5, 6)), np.ones((9, 9))).astype(np.uint16)
    assert np.array_equal(erode_labels(labels, radius), reference_erosion(labels, radius))


def test_one_class_keeps_all_pixels_and_a_single_pixel_is_lost():
    labels = np.full((20, 20), 3, np.uint16)
    assert (erode_labels(labels, 5) == 3).all()
    labels[10, 10] = 1
    assert 1 not in erode_labels(labels, 1)


def test_simplified_outlines_stay_within_the_tolerance():
    rows, columns = np.mgrid[:80, :100]
    circle = ((rows - 40) ** 2 + (columns - 50) ** 2 < 30**2).astype(np.uint16)
    coarse = simplify_labels(circle, 4)
    distance = np.abs(np.hypot(rows - 40, columns - 50) - 30)
    assert (coarse != circle).any()
    assert distance[(coarse != circle) & (coarse != UNLABELLED)].max() < 5
    assert np.array_equal(simplify_labels(circle, 0), circle)


def test_a_small_region_is_drawn_over_the_large_one_and_void_stays():
    labels = np.zeros((40, 40), np.uint16)
    labels[10:20, 10:20] = 255
    labels[:, :3] = UNLABELLED
    coarse = simplify_labels(labels, 1)
    assert coarse[15, 15] == 255
    assert coarse[30, 30] == 0
    assert (coarse[:, :3] == UNLABELLED).all()
