import numpy as np
import pytest

from models.label_values import UNLABELLED
from models.metrics import (
    best_threshold,
    border_counts,
    boundary_counts,
    boundary_f_score,
    cam_segmentation,
    class_iou,
    confusion_matrix,
    confusion_of,
    confusion_rows,
    coverage,
    mean_iou,
    pixel_accuracy,
)


def random_case(seed):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.choice([0, 1, 2, UNLABELLED], (2, 9, 8)).astype(np.uint16)
    return truth, prediction


def reference_iou(truth, prediction, label, unlabelled_is_wrong):
    intersection = union = 0
    for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
        if t == UNLABELLED or (p == UNLABELLED and not unlabelled_is_wrong):
            continue
        intersection += t == label and p == label
        union += t == label or p == label
    return intersection / union


@pytest.mark.parametrize("unlabelled_is_wrong", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_iou_equals_the_loops(seed, unlabelled_is_wrong):
    truth, prediction = random_case(seed)
    ious = class_iou(confusion_matrix(truth, prediction, 3), unlabelled_is_wrong)
    assert ious == pytest.approx([reference_iou(truth, prediction, label, unlabelled_is_wrong) for label in range(3)])


def test_counts_do_not_wrap_at_32_bits():
    truth = np.zeros((1000, 1000), np.uint8)
    one = confusion_matrix(truth, truth, 2)
    total = sum(one for _ in range(3000))
    assert total.dtype == np.int64
    assert total[0, 0] == 3_000_000_000


def test_a_class_that_never_occurs_does_not_count():
    truth = np.array([[0, 1]], np.uint8)
    confusion = confusion_matrix(truth, truth, 5)
    assert mean_iou(confusion) == 1.0
    assert np.isnan(class_iou(confusion)[4])


def test_stray_pixels_of_a_class_without_truth_count_against_their_own_class_alone():
    truth, prediction = np.zeros(100, np.uint8), np.zeros(100, np.uint8)
    truth[50:] = 1
    prediction[50:] = 1
    prediction[:5] = 2
    assert mean_iou(confusion_matrix(truth, prediction, 3)) == pytest.approx((45 / 50 + 1.0) / 2)


def test_no_pixels_give_nan():
    nothing = confusion_matrix(np.full((2, 2), UNLABELLED), np.zeros((2, 2)), 2)
    assert np.isnan(mean_iou(nothing))
    assert np.isnan(coverage(nothing))


def test_coverage_is_the_labelled_share():
    assert coverage(confusion_matrix(np.zeros(4), np.array([0, UNLABELLED, 1, UNLABELLED]), 2)) == 0.5


def test_the_truth_of_a_thousand_classes_scores_one():
    truth = np.array([[0, 44, 255], [256, 300, 1203], [UNLABELLED, 300, 0]], np.uint16)
    confusion = confusion_matrix(truth, truth, 1204)
    assert confusion.shape == (1204, 1205)
    assert (mean_iou(confusion), pixel_accuracy(confusion), coverage(confusion)) == (1, 1, 1)
    assert confusion.sum() == 8
    swapped = confusion_matrix(truth, np.where(truth == 300, 44, truth), 1204)
    assert (swapped[300, 44], swapped[300, 300]) == (2, 0)
    counts = boundary_counts(truth, truth, 1204)
    assert sorted(np.flatnonzero(counts[:, 2])) == [44, 255, 256, 300, 1203]


def test_matrices_of_several_maps_are_sparse_and_add_up():
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 44, 255, 300, 1203, UNLABELLED], (2, 30, 40)).astype(np.uint16)
    maps = rng.choice([0, 44, 255, 300, 1203, UNLABELLED], (2, 5, 30, 40)).astype(np.uint16)
    rows = [confusion_rows(truth[i], maps[i], 1204) for i in range(2)]
    assert sum(part.nbytes for part in (rows[0].data, rows[0].indices, rows[0].indptr)) < 100_000
    total = rows[0] + rows[1]
    assert total.dtype == np.int64
    for index in range(5):
        expected = sum(confusion_matrix(truth[i], maps[i, index], 1204) for i in range(2))
        assert np.array_equal(confusion_of(total, index), expected)


def test_unknown_labels_are_refused():
    with pytest.raises(ValueError, match="labels must be"):
        confusion_matrix(np.array([7]), np.array([0]), 3)
    with pytest.raises(ValueError, match="labels must be"):
        confusion_matrix(np.array([0]), np.array([3]), 3)  # it would be taken for unlabelled
    with pytest.raises(ValueError, match="labels must be"):
        confusion_matrix(np.array([0]), np.array([255]), 3)
    with pytest.raises(ValueError, match="differ in shape"):
        confusion_matrix(np.zeros(2), np.zeros(3), 3)


def test_the_sweep_does_not_stop_at_the_first_peak():
    def confusion(correct):
        return np.array([[correct, 10 - correct, 0], [0, 10, 0]])

    assert best_threshold([confusion(c) for c in (5, 4, 3, 9, 2)], [0.1, 0.2, 0.3, 0.4, 0.5]) == 3


def test_cam_segmentation():
    cam = np.array([[[0.2, 0.9]], [[0.6, 0.1]]])
    assert cam_segmentation(cam, np.array([4, 9]), 0.3).tolist() == [[9, 4]]
    assert cam_segmentation(cam, np.array([4, 9]), 0.7).tolist() == [[0, 4]]
    wide = cam_segmentation(cam, np.array([255, 300]), 0.3)
    assert (wide.tolist(), wide.dtype) == ([[300, 255]], np.uint16)
    assert cam_segmentation(np.zeros((0, 2, 2)), np.array([]), 0.3).tolist() == [[0, 0], [0, 0]]


def reference_boundary(labels, number, truth):
    """Pixels of a class with a 4-neighbour that is counted and of another class, in loops."""
    height, width = labels.shape
    found = set()
    for i in range(height):
        for j in range(width):
            if labels[i, j] != number or truth[i, j] == UNLABELLED:
                continue
            for m, n in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
                if 0 <= m < height and 0 <= n < width and labels[m, n] != number and truth[m, n] != UNLABELLED:
                    found.add((i, j))
    return found


@pytest.mark.parametrize("tolerance", [0, 1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_boundary_counts_equal_the_loops(seed, tolerance):
    rng = np.random.default_rng(seed)
    truth, prediction = (np.kron(rng.choice([0, 1, 2, UNLABELLED], (4, 5)), np.ones((4, 4), int)) for _ in range(2))
    counts = boundary_counts(truth, prediction, 4, tolerance)
    for number in (1, 2, 3):
        predicted, true = reference_boundary(prediction, number, truth), reference_boundary(truth, number, truth)
        matched = [
            sum(any((i - m) ** 2 + (j - n) ** 2 <= tolerance**2 for m, n in others) for i, j in own)
            for own, others in ((predicted, true), (true, predicted))
        ]
        assert counts[number].tolist() == [len(predicted), matched[0], len(true), matched[1]]
    assert not counts[0].any()


def test_boundary_score_of_a_moved_square():
    truth = np.zeros((40, 40), np.uint8)
    truth[10:30, 10:30] = 1
    for shift, expected in ((0, 1.0), (3, 1.0)):
        assert boundary_f_score(boundary_counts(truth, np.roll(truth, shift, 1), 2))[1] == expected
    moved = boundary_f_score(boundary_counts(truth, np.roll(truth, 8, 1), 2))[1]
    assert 0.3 < moved < 0.7  # upper and lower edges still coincide
    scores = boundary_f_score(boundary_counts(truth, np.zeros_like(truth), 3))
    assert np.isnan(scores[0])
    assert scores[1] == 0
    assert np.isnan(scores[2])


def test_boundary_of_a_1_pixel_object():
    truth = np.zeros((9, 9), np.uint8)
    truth[4, 4] = 1
    assert boundary_f_score(boundary_counts(truth, truth, 2))[1] == 1


def test_boundary_recall_counts_equal_the_loops():
    rng = np.random.default_rng(0)
    truth = np.kron(rng.choice([0, 1, 2], (4, 5)), np.ones((6, 6))).astype(np.uint16)
    prediction = np.kron(rng.integers(0, 3, (5, 6)), np.ones((5, 5))).astype(np.uint16)[:24, :30]
    prediction = np.pad(prediction, ((0, 24 - prediction.shape[0]), (0, 30 - prediction.shape[1])), mode="edge")

    def border(labels):
        height, width = labels.shape
        return {
            (y, x)
            for y in range(height)
            for x in range(width)
            for v, u in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1))
            if 0 <= v < height and 0 <= u < width and labels[v, u] != labels[y, x]
        }

    true = border(truth)
    predicted = border(prediction)
    recalled = {p for p in true if any((p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 <= 4 for q in predicted)}
    assert border_counts(truth, prediction).tolist() == [len(true), len(recalled)]
    assert 0 < len(recalled) < len(true)


def test_unlabelled_bands_are_borders_and_the_rims_of_unlabelled_areas_are_none():
    truth = np.zeros((40, 60), np.uint16)
    assert border_counts(truth, truth).tolist() == [0, 0]
    area = truth.copy()
    area[10:30, 10:30] = UNLABELLED
    assert border_counts(area, truth).tolist() == [0, 0]
    prediction, band = truth.copy(), truth.copy()
    prediction[:, 30:] = band[:, 30:] = 1
    band[:, 28:33] = UNLABELLED  # 5 pixels, as VOC has them
    assert border_counts(band, prediction).tolist() == [80, 80]
    assert border_counts(band, truth).tolist() == [80, 0]


def test_pixel_accuracy():
    confusion = np.array([[5, 1, 2], [0, 4, 0]])
    assert pixel_accuracy(confusion) == 9 / 12
    assert np.isnan(pixel_accuracy(np.zeros((2, 3), int)))
