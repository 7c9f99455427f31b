import math

import numpy as np
import pytest

from models.label_values import UNLABELLED
from models.superpixel_metrics import best_labels, superpixel_counts, superpixel_scores


def case(seed, values=(0, 255, 300, UNLABELLED)):
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.choice(values, (4, 5)), np.ones((3, 4), int)).astype(np.uint16)
    superpixels = np.kron(rng.integers(0, 6, (6, 5)), np.ones((2, 4), int))
    return truth, superpixels


def reference_scores(truth, superpixels, tolerance):
    """Equations 3.9 to 3.12 in loops over superpixels, classes and pixels. 3.10, 3.11: all pixels must be labelled."""
    height, width = truth.shape
    pixels = [(i, j) for i in range(height) for j in range(width) if truth[i, j] != UNLABELLED]
    regions = {k: {p for p in pixels if superpixels[p] == k} for k in np.unique(superpixels)}
    objects = {c: {p for p in pixels if truth[p] == c} for c in np.unique(truth) if c != UNLABELLED}
    total = sum(len(G) for G in objects.values())
    ue = sum(min(len(S & G), len(S - G)) for S in regions.values() for G in objects.values()) / total
    asa = sum(max(len(S & G) for G in objects.values()) for S in regions.values()) / total

    def two_sided(labels):
        return {
            (i, j) for i, j in pixels
            for m, n in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1))
            if 0 <= m < height and 0 <= n < width and labels[m, n] != labels[i, j]
        }  # fmt: skip

    def contour(labels):
        taken = set()
        for i in range(height):
            for j in range(width):
                around = [(i + m, j + n) for m in (-1, 0, 1) for n in (-1, 0, 1)]
                inside = [(m, n) for m, n in around if 0 <= m < height and 0 <= n < width and (m, n) not in taken]
                if sum(labels[p] != labels[i, j] for p in inside) > 1:
                    taken.add((i, j))
        return taken

    def share(own, others, is_near):
        return sum(any(is_near(math.dist(p, q)) for q in others) for p in own) / len(own)

    true, found = contour(truth), contour(superpixels) & set(pixels)
    true_border, border = two_sided(truth), two_sided(superpixels)
    return {
        "ue": ue,
        "asa": asa,
        "br": share(true, found, lambda distance: distance < 2),
        "bp": share(found, true, lambda distance: distance < 2),
        "border_recall": share(true_border, border, lambda distance: distance <= tolerance),
        "border_precision": share(border, true_border, lambda distance: distance <= tolerance),
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tolerance", [0, 2])
def test_equals_the_loops(seed, tolerance):
    truth, superpixels = case(seed, (0, 255, 300, 7))
    found = superpixel_scores(superpixel_counts(truth, superpixels, tolerance))
    assert found == pytest.approx(reference_scores(truth, superpixels, tolerance))


@pytest.mark.parametrize("seed", range(4))
def test_unlabelled_pixels_do_not_count_for_ue_and_asa(seed):
    truth, superpixels = case(seed)
    assert (truth == UNLABELLED).any()
    found, wanted = superpixel_scores(superpixel_counts(truth, superpixels)), reference_scores(truth, superpixels, 2)
    assert (found["ue"], found["asa"]) == pytest.approx((wanted["ue"], wanted["asa"]))


BORDERS = ("br", "bp", "border_recall", "border_precision")


def banded(width=5):
    """A square object with an unlabelled band around it, as VOC draws it; and superpixels that end in its middle."""
    truth, superpixels = np.zeros((50, 60), np.uint16), np.zeros((50, 60), int)
    truth[10 : 30 + width, 10 : 30 + width] = UNLABELLED
    truth[10 + width : 30, 10 + width : 30] = 3
    superpixels[10 + width // 2 : 30 + width // 2, 10 + width // 2 : 30 + width // 2] = 1
    return truth, superpixels


def test_a_border_in_the_middle_of_an_unlabelled_band_is_perfect():
    """Bands of VOC have 5 pixels; the largest disk of 4 pixels has no room in them."""
    truth, superpixels = banded()
    scores = superpixel_scores(superpixel_counts(truth, superpixels))
    assert [scores[name] for name in BORDERS] == [1, 1, 1, 1]
    missed = superpixel_scores(superpixel_counts(truth, np.roll(superpixels, 12, 1)))
    assert 0 < missed["br"] < 0.7
    assert 0 < missed["bp"] < 0.7


def test_the_edge_of_a_large_unlabelled_area_is_no_contour():
    truth, plain = np.zeros((50, 60), np.uint16), np.zeros((50, 60), int)
    truth[:, 40:] = 1
    area = truth.copy()
    area[10:30, 10:30] = UNLABELLED
    border = plain.copy()
    border[:, 40:] = 1
    assert (superpixel_counts(area, border)[3:11] == superpixel_counts(truth, border)[3:11]).all()
    along = border.copy()
    along[10:30, 10:30] = 2  # a superpixel that ends where the unlabelled area ends
    found = superpixel_scores(superpixel_counts(area, along))
    assert [found[name] for name in BORDERS] == [1, 1, 1, 1]
    assert superpixel_scores(superpixel_counts(truth, along))["bp"] < 0.7  # without the area, its border is wrong
    inside = border.copy()
    inside[15:25, 15:25] = 2
    assert superpixel_scores(superpixel_counts(area, inside))["bp"] == 1


def test_two_classes_beside_a_large_unlabelled_area_have_no_known_border_within_it():
    """The border of the labels goes on to the edge of the area, not through it."""
    truth = np.zeros((40, 60), np.uint16)
    truth[:, 30:] = 1
    truth[20:] = UNLABELLED
    superpixels = np.zeros((40, 60), int)
    superpixels[:20, 30:] = 1
    superpixels[20:] = 2
    counts = superpixel_counts(truth, superpixels)
    assert counts[3] == 19  # rows 0 to 18: row 19 is next to the area
    assert [superpixel_scores(counts)[name] for name in BORDERS] == [1, 1, 1, 1]


def test_a_distance_of_exactly_2_matches_in_our_form_alone():
    """Contours in columns 3 and 5: their distance is 2, and eqs. 3.10 and 3.11 want less."""
    truth, superpixels = np.zeros((6, 12), int), np.zeros((6, 12), int)
    truth[:, 4:], superpixels[:, 6:] = 1, 1
    scores = superpixel_scores(superpixel_counts(truth, superpixels))
    assert (scores["br"], scores["bp"]) == (0, 0)
    assert (scores["border_recall"], scores["border_precision"]) == (1, 1)
    superpixels[:, 5:] = 1
    scores = superpixel_scores(superpixel_counts(truth, superpixels))
    assert (scores["br"], scores["bp"]) == (1, 1)


def test_the_truth_itself_is_perfect():
    truth, _ = case(0)
    truth[truth == UNLABELLED] = 0
    assert superpixel_scores(superpixel_counts(truth, truth)) == {
        "ue": 0, "asa": 1, "br": 1, "bp": 1, "border_recall": 1, "border_precision": 1,
    }  # fmt: skip


def test_one_superpixel_and_one_pixel_each():
    truth = np.zeros((4, 5), np.uint8)
    truth[1:3, 1:3] = 1
    whole = superpixel_scores(superpixel_counts(truth, np.zeros_like(truth)))
    assert whole["asa"] == 16 / 20
    assert whole["br"] == 0
    assert np.isnan(whole["bp"])
    single = superpixel_counts(truth, np.arange(20).reshape(4, 5))
    assert superpixel_scores(single)["ue"] == 0
    assert single[-1] == 20


def test_nothing_counted_is_nan():
    counts = superpixel_counts(np.full((3, 3), UNLABELLED, np.uint16), np.zeros((3, 3), int))
    assert not counts.any()
    assert all(np.isnan(value) for value in superpixel_scores(counts).values())


def test_counts_add_up_over_images():
    (t1, s1), (t2, s2) = case(1), case(2)
    both = superpixel_scores(superpixel_counts(t1, s1) + superpixel_counts(t2, s2))
    assert both["asa"] == pytest.approx(
        (superpixel_counts(t1, s1)[2] + superpixel_counts(t2, s2)[2])
        / ((t1 != UNLABELLED).sum() + (t2 != UNLABELLED).sum())
    )


def test_the_best_labels_give_the_achievable_accuracy():
    truth, superpixels = case(3)
    labels = best_labels(truth, superpixels)
    counted = truth != UNLABELLED
    scores = superpixel_scores(superpixel_counts(truth, superpixels))
    assert (labels == truth)[counted].mean() == pytest.approx(scores["asa"])
    assert all(len(np.unique(labels[superpixels == k])) == 1 for k in np.unique(superpixels))
