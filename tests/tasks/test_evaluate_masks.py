import pickle

import numpy as np
import pytest
from PIL import Image

from data.sample import TRAIN, UNLABELLED, LabelLayer, Sample
from data.store.sharded import ShardedStore
from data.store.tiles import ArraySpec
from models.metrics import border_counts, boundary_counts, confusion_matrix, confusion_of
from tasks.evaluate_masks import CONFUSION_CLASSES, MAPS, CountCams, CountLabels, EvaluateMasks, count, summary
from tasks.runtime.counting import JobsOver, count_shard


@pytest.fixture
def case(tmp_path):
    """Three images, the last without ground truth, with label maps and CAMs of two classes."""
    rng = np.random.default_rng(0)
    samples, truths = [], []
    for index in range(3):
        Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(tmp_path / f"{index}.png")
        stored = rng.choice([0, 1, 2, 255], (8, 12)).astype(np.uint8)
        Image.fromarray(stored).save(tmp_path / f"truth{index}.png")
        layers = (LabelLayer(tmp_path / f"truth{index}.png"),) if index < 2 else ()
        samples.append(Sample(str(index), TRAIN, tmp_path / f"{index}.png", (1, 2), size=(8, 12), truth=layers))
        truths.append(np.where(stored == 255, np.uint16(UNLABELLED), stored))
    labels = rng.choice([0, 1, 2], (3, 9, 12)).astype(np.uint16)
    cams = rng.random((3, 2, 3, 3)).astype(np.float16)
    specs = {
        "label": ArraySpec(("y", "x"), (9, 12), "uint16", UNLABELLED, {}),
        "cam": ArraySpec(("slot", "y4", "x4"), (2, 3, 3), "float16", float("nan"), {}),
        "slot_class": ArraySpec(("slot",), (2,), "int16", -1, {}),
    }
    store = ShardedStore(tmp_path / "a.zarr").create(["0", "1", "2"], specs, {}, 4)
    store.write_shard(0, {"label": labels, "cam": cams, "slot_class": np.tile(np.int16([1, 2]), (3, 1))})
    return ShardedStore(store.path), samples, truths, labels


def counted(store, samples, counter, key):
    """The counts of the one shard of a store."""
    (job,) = JobsOver(store, MAPS, samples, counter, 2, key)
    return count_shard(job)


def test_one_confusion_matrix_over_the_images_with_ground_truth(case):
    store, samples, truths, labels = case
    result, counts = counted(store, samples, CountLabels("label"), "pseudo_labels")
    rows, boundaries, borders, count = counts
    confusions = np.stack([confusion_of(rows, 0)])
    assert (result, count) == ("pseudo_labels", 2)
    assert np.array_equal(borders, [sum(border_counts(truths[i], labels[i, :8]) for i in range(2))])
    for found, counting in ((confusions, confusion_matrix), (boundaries, boundary_counts)):
        assert np.array_equal(found, [sum(counting(truths[i], labels[i, :8], 3) for i in range(2))])


def test_cams_are_counted_at_every_threshold(case):
    store, samples, truths, _ = case
    _, (rows, boundaries, _, count) = counted(store, samples, CountCams((0.0, 0.5, 1.0)), "cam_seed")
    confusions = np.stack([confusion_of(rows, index) for index in range(3)])
    assert confusions.shape == boundaries.shape == (3, 3, 4)
    assert confusions[2][:, 1:].sum() == 0  # above 1 all is background
    assert confusions[0][:, 0].sum() < confusions[1][:, 0].sum() < confusions[2][:, 0].sum()
    assert count == 2
    assert all(c.sum() == sum((t != UNLABELLED).sum() for t in truths[:2]) for c in confusions)


@pytest.mark.parametrize(
    ("step", "last", "number"),
    [
        (0.05, 0.95, 20),
        (0.3, 0.9, 4),
        (0.07, 0.98, 15),
        (0.4, 0.8, 3),
        (0.6, 0.6, 2),
        (0.001, 0.999, 1000),
        (1.0, 0.0, 1),
    ],
)
def test_thresholds_are_all_multiples_of_the_step_below_1(in_process, step, last, number):
    found = EvaluateMasks(threshold_step=step).thresholds
    assert found == pytest.approx([step * index for index in range(number)])
    assert found[-1] == last


def test_the_truth_of_a_thousand_classes_scores_100_and_its_counts_are_small():
    truth = np.array([[0, 0, 44, 44], [255, 256, 300, 300], [1203, UNLABELLED, 0, 0]], np.uint16)
    thresholds = 20
    rows, boundaries, borders, images = count(truth, [truth] * thresholds, 1204)
    assert len(pickle.dumps(rows)) < 1e6  # one full matrix has 11 MB
    names = [str(number) for number in range(1204)]
    found = summary(confusion_of(rows, 7), boundaries[7], borders[7], names, images)
    assert (found["miou"], found["pixel_accuracy"], found["boundary_f"]) == (100, 100, 100)
    assert found["per_class"]["300"] == found["per_class"]["255"] == 100
    assert found["per_class"]["43"] is None
    wrong = count(truth, [np.where(truth == 300, 44, truth)], 1204)
    found = summary(confusion_of(wrong[0], 0), wrong[1][0], wrong[2][0], names, 1)
    assert (found["per_class"]["300"], found["per_class"]["44"]) == (0, 50)


def test_a_class_without_ground_truth_has_no_iou():
    confusion = np.array([[6, 2, 0, 0], [0, 0, 0, 0], [0, 0, 4, 0]])  # 2 pixels of a class that is not there
    found = summary(confusion, np.zeros((3, 4)), np.ones(2), ["background", "mug", "plate"], 1)
    assert found["per_class"] == {"background": 75.0, "mug": None, "plate": 100.0}
    assert found["miou"] == 87.5


@pytest.mark.parametrize(("classes", "kept"), [(CONFUSION_CLASSES, True), (CONFUSION_CLASSES + 1, False)])
def test_a_confusion_matrix_of_many_classes_is_left_out(classes, kept):
    names = [str(number) for number in range(classes)]
    found = summary(np.eye(classes, classes + 1, dtype=np.int64), np.zeros((classes, 4)), np.ones(2), names, 1)
    assert (found["confusion"] is not None) == kept
    assert found["miou"] == 100


def test_the_summary_is_in_percent_and_says_what_is_missing():
    confusion = np.array([[50, 50, 0], [0, 50, 50]])
    found = summary(confusion, np.array([[0, 0, 0, 0], [4, 2, 6, 6]]), np.array([8, 2]), ["background", "mug"], 2)
    assert found["per_class"] == {"background": 50.0, "mug": pytest.approx(100 / 3, abs=0.01)}
    assert found["miou"] == pytest.approx((50 + 100 / 3) / 2, abs=0.01)
    assert found["miou_of_labelled"] == pytest.approx(50.0)
    assert found["labelled"] == 75.0
    assert found["boundary_recall"] == 25.0
    assert found["pixel_accuracy"] == 50.0
    assert found["boundary_f"] == pytest.approx(100 * 2 * 0.5 / 1.5, abs=0.01)
    nothing = summary(
        np.zeros((2, 3), np.int64), np.zeros((2, 4), np.int64), np.zeros(2, np.int64), ["background", "mug"], 1
    )
    assert nothing["miou"] is None
    assert nothing["boundary_f"] is nothing["boundary_recall"] is None


def test_saliency_is_scored_without_classes(case, tmp_path):
    _, samples, truths, _ = case
    salient = np.random.default_rng(1).choice([0, 1, UNLABELLED], (3, 9, 12)).astype(np.uint16)
    store = ShardedStore(tmp_path / "s.zarr").create(
        ["0", "1", "2"], {"salient": ArraySpec(("y", "x"), (9, 12), "uint16", UNLABELLED, {})}, {}, 4
    )
    store.write_shard(0, {"salient": salient})
    counter = CountLabels("salient", is_saliency=True)
    _, (rows, boundaries, _, count) = counted(store, samples, counter, "saliency")
    binary = [np.where(truth == UNLABELLED, UNLABELLED, truth > 0) for truth in truths[:2]]
    assert count == 2
    assert boundaries.shape == (1, 2, 4)
    assert np.array_equal(confusion_of(rows, 0), sum(confusion_matrix(binary[i], salient[i, :8], 2) for i in range(2)))
