import math

import numpy as np
import pytest

from models.tag_metrics import average_precision, tag_metrics


def reference_precision(scores, present):
    """Precision and recall at every score of a list, by counting."""
    total, area, before = sum(present), 0.0, 0.0
    for limit in sorted(set(scores), reverse=True):
        positive = [p for s, p in zip(scores, present, strict=True) if s >= limit]
        recall = sum(positive) / total
        area += (recall - before) * sum(positive) / len(positive)
        before = recall
    return area


def reference_f1(predicted, present):
    pairs = list(zip(predicted, present, strict=True))
    hits, wrong, missed = (sum(pair == kind for pair in pairs) for kind in ((1, 1), (1, 0), (0, 1)))
    return 2 * hits / (2 * hits + wrong + missed)


@pytest.mark.parametrize("seed", range(5))
def test_equal_the_definitions_in_loops(seed):
    rng = np.random.default_rng(seed)
    logits, tags = rng.normal(size=(30, 4)).round(1), rng.random((30, 4)) < 0.3  # rounded: some scores are equal
    tags[:, 3] = False
    found = tag_metrics(logits, tags, threshold=0.6)
    predicted = 1 / (1 + np.exp(-logits)) > 0.6
    columns = [(logits[:, k].tolist(), predicted[:, k].tolist(), tags[:, k].tolist()) for k in range(3)]
    assert found["map"] == pytest.approx(np.mean([reference_precision(s, t) for s, _, t in columns]))
    assert found["f1_macro"] == pytest.approx(np.mean([reference_f1(p, t) for _, p, t in columns]))
    assert found["f1_micro"] == pytest.approx(reference_f1(predicted.ravel().tolist(), tags.ravel().tolist()))


def test_equals_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    scores, present = rng.normal(size=200).round(1), rng.random(200) < 0.3
    assert average_precision(scores, present) == pytest.approx(metrics.average_precision_score(present, scores))


def test_a_perfect_classifier_and_one_that_has_nothing_to_find():
    tags = np.eye(3, dtype=bool)
    assert tag_metrics(np.where(tags, 4.0, -4.0), tags) == {"map": 1, "f1_micro": 1, "f1_macro": 1}
    assert all(math.isnan(value) for value in tag_metrics(np.zeros((2, 3)), np.zeros((2, 3), bool)).values())
    assert math.isnan(average_precision(np.zeros(2), np.zeros(2, bool)))
