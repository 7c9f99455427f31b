"""AP against a plain computation from COCO's definition."""

import numpy as np
import pytest

from models.average_precision import average_precision, run_lengths

RECALLS = np.linspace(0, 1, 101)
THRESHOLDS = np.linspace(0.5, 0.95, 10)


def item(image, number, box, score=None, ignored=False):
    mask = np.zeros((20, 30), bool)
    top, left, bottom, right = box
    mask[top:bottom, left:right] = True
    found = {"image": image, "class": number, "mask": run_lengths(mask), "area": mask.sum(), "plain": mask}
    return {**found, "ignored": ignored} if score is None else {**found, "score": score}


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def plain_ap(truth, predicted, threshold):
    """Detections of one class, the highest score first; each takes the free object with the largest IoU."""
    taken, right = set(), []
    for found in sorted(predicted, key=lambda p: -p["score"]):
        options = [
            (iou(found["plain"], t["plain"]), n) for n, t in enumerate(truth)
            if t["image"] == found["image"] and n not in taken
        ]  # fmt: skip
        best = max(options, default=(0, None))
        right.append(best[0] >= threshold)
        if right[-1]:
            taken.add(best[1])
    hits = np.cumsum(right)
    recall, precision = hits / len(truth), hits / np.arange(1, len(right) + 1)
    return np.mean([precision[recall >= r - 1e-12].max(initial=0) for r in RECALLS])


def scene(seed):
    rng = np.random.default_rng(seed)
    truth, predicted = [], []
    for image in range(4):
        for number in (1, 2):
            for start in (0, 15):
                top = 10 * (number - 1)
                truth.append(item(image, number, (top, start, top + 8, start + 12)))
                shift = rng.integers(0, 5)
                predicted.append(item(image, number, (top, start + shift, top + 8, start + 12), rng.random()))
        predicted.append(item(image, 1, (18, 2, 20, 9), rng.random()))
    return truth, predicted


@pytest.mark.parametrize("seed", range(3))
def test_ap_is_that_of_the_definition(seed):
    truth, predicted = scene(seed)
    by_class = {
        number: [
            plain_ap([t for t in truth if t["class"] == number], [p for p in predicted if p["class"] == number], at)
            for at in THRESHOLDS
        ]
        for number in (1, 2)
    }
    found = average_precision(truth, predicted)
    assert found["ap"] == pytest.approx(np.mean(list(by_class.values())))
    assert found["ap50"] == pytest.approx(np.mean([values[0] for values in by_class.values()]))
    assert found["ap75"] == pytest.approx(np.mean([values[5] for values in by_class.values()]))
    assert found["per_class"] == pytest.approx({number: np.mean(values) for number, values in by_class.items()})


def test_a_wrong_class_counts_only_with_classes():
    truth = [item(0, 1, (0, 0, 8, 8))]
    predicted = [item(0, 2, (0, 0, 8, 8), 0.9)]
    assert average_precision(truth, predicted)["ap"] == 0
    assert average_precision(truth, predicted, with_classes=False)["ap"] == pytest.approx(1)


def test_ignored_instances_are_neither_right_nor_wrong():
    truth = [item(0, 1, (0, 0, 8, 8)), item(0, 1, (10, 10, 18, 18), ignored=True)]
    both = [item(0, 1, (10, 10, 18, 18), 0.9), item(0, 1, (0, 0, 8, 8), 0.5)]
    assert average_precision(truth, both)["ap"] == pytest.approx(1)
    assert average_precision(truth[1:], both) is None


def test_nothing_predicted_is_nothing_found():
    assert average_precision([item(0, 1, (0, 0, 8, 8))], [])["ap"] == 0
    assert average_precision([], []) is None
