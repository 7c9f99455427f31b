import numpy as np
import pytest

from models.metrics import best_threshold, cam_segmentation, class_iou, confusion_matrix, coverage, mean_iou


def random_case(seed):
    rng = np.random.default_rng(seed)
    return rng.choice([0, 1, 2, 255], (9, 8)).astype(np.uint8), rng.choice([0, 1, 2, 255], (9, 8)).astype(np.uint8)


def reference_iou(truth, prediction, label, unlabelled_is_wrong):
    intersection = union = 0
    for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
        if t == 255 or (p == 255 and not unlabelled_is_wrong):
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


def test_no_pixels_give_nan():
    nothing = confusion_matrix(np.full((2, 2), 255), np.zeros((2, 2)), 2)
    assert np.isnan(mean_iou(nothing))
    assert np.isnan(coverage(nothing))


def test_coverage_is_the_labelled_share():
    assert coverage(confusion_matrix(np.zeros(4), np.array([0, 255, 1, 255]), 2)) == 0.5


def test_unknown_labels_are_refused():
    with pytest.raises(ValueError, match="labels must be"):
        confusion_matrix(np.array([7]), np.array([0]), 3)
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
    assert cam_segmentation(np.zeros((0, 2, 2)), np.array([]), 0.3).tolist() == [[0, 0], [0, 0]]
