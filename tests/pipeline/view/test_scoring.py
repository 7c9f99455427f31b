"""Numbers by which images are sorted, against slow loops over pixels."""

import threading

import numpy as np
import pytest

from data.errors import ImageError
from data.sample import EVALUATION, TRAIN, UNLABELLED
from pipeline.view.panels import Changes, Side
from pipeline.view.scoring import Scorer, Scores, disagreement, image_iou, measure, measures, tag_loss


@pytest.fixture
def maps():
    """Two maps with the classes 0, 3, 900 and 32766, some pixels without a label."""
    rng = np.random.default_rng(1)
    return rng.choice(np.array([0, 3, 900, 32766, UNLABELLED], np.uint16), (2, 12, 15))


def slow_iou(labels, truth, number):
    pixels = [(a, b) for a, b in zip(labels.ravel(), truth.ravel()) if b != UNLABELLED]
    inside = sum(a == b == number for a, b in pixels)
    union = sum(number in (a, b) for a, b in pixels)
    return 100 * inside / union if union else np.nan


def test_iou_is_that_of_a_loop_over_pixels(maps):
    labels, truth = maps
    numbers = sorted(set(truth[truth != UNLABELLED].tolist()))
    for number in numbers:
        assert image_iou(labels, truth, number) == pytest.approx(slow_iou(labels, truth, number))
    assert image_iou(labels, truth) == pytest.approx(np.mean([slow_iou(labels, truth, number) for number in numbers]))
    assert np.isnan(image_iou(labels, truth, 7))
    assert np.isnan(image_iou(labels, np.full_like(truth, UNLABELLED)))
    assert image_iou(truth, truth) == 100


def test_disagreement_is_that_of_a_loop_over_pixels(maps):
    pairs = [(a, b) for a, b in zip(maps[0].ravel(), maps[1].ravel()) if UNLABELLED not in (a, b)]
    assert disagreement(*maps) == pytest.approx(100 * sum(a != b for a, b in pairs) / len(pairs))
    assert np.isnan(disagreement(np.full((2, 2), UNLABELLED), np.zeros((2, 2))))


def test_loss_is_the_cross_entropy_of_the_equation():
    """Kim 2022, eq. 1.2: the mean over classes of -y log s(z) - (1 - y) log(1 - s(z))."""
    logits, tags = np.array([2.0, -1.5, 0.3, -30.0]), (1, 3)
    probability = 1 / (1 + np.exp(-logits))
    present = np.array([1, 0, 1, 0])
    expected = -np.mean(present * np.log(probability) + (1 - present) * np.log(1 - probability))
    assert tag_loss(logits, tags) == pytest.approx(expected, rel=1e-5)


def test_measures_are_those_that_the_run_allows(run):
    pair = (Side("prediction"), Side("ground truth"))
    assert list(measures(run, TRAIN, None)) == ["iou"]
    assert list(measures(run, EVALUATION, None)) == ["iou", "loss"]
    assert list(measures(run, EVALUATION, pair)) == ["iou", "loss", "disagreement"]
    assert "disagreement" not in measures(run, TRAIN, (Side("initial seed"), Side("depth")))


def test_a_measure_reads_the_artifacts_of_the_run(run):
    image = run.image(EVALUATION, 3)
    labels = image.stored("predictions").read("label")
    truth = measure(run, EVALUATION, "iou", Changes(), None, None)(image)
    assert 0 <= truth <= 100
    pair = (Side("prediction"), Side("ground truth"))
    wrong = measure(run, EVALUATION, "disagreement", Changes(), pair, None)(image)
    assert 0 < wrong < 100
    loss = measure(run, EVALUATION, "loss", Changes(), None, None)(image)
    assert loss == pytest.approx(tag_loss(image.stored("tags").read("logit"), image.sample.tags))
    assert labels.shape == image.sample.size


def test_the_numbers_are_computed_in_the_background_the_last_wish_first():
    entered, go, order = threading.Event(), threading.Event(), []

    def slow(place):
        entered.set()
        assert go.wait(30)
        order.append(("slow", place))
        return place

    def quick(place):
        order.append(("quick", place))
        return -place

    scorer, places = Scorer(), np.arange(100)
    first = scorer.ask("slow", 100, slow, places)
    assert entered.wait(30)
    second = scorer.ask("quick", 100, quick, places)
    go.set()
    wait_for(lambda: second.left(places) == 0)
    assert second.values.tolist() == (-np.arange(100.0)).tolist()
    assert 0 < first.left(places) < 100  # what was under way when the other was asked for
    again = scorer.ask("slow", 100, slow, places)
    assert again is first
    wait_for(lambda: first.left(places) == 0)
    assert len(order) == 200  # none twice


def wait_for(condition):
    for _ in range(3000):
        if condition():
            return
        threading.Event().wait(0.01)
    pytest.fail("was not computed")


def test_only_the_chosen_images_are_measured():
    scores, places = Scores(10, float), np.array([2, 7, 8])
    scores.advance(places, 2)
    assert (scores.left(places), scores.left(np.arange(10))) == (1, 8)
    assert np.flatnonzero(np.isfinite(scores.values)).tolist() == [2, 7]


def test_an_image_that_cannot_be_read_is_told():
    def function(place):
        if place == 1:
            raise ImageError("b.png: is truncated")
        return 5

    scores = Scores(3, function)
    scores.advance(np.arange(3))
    assert scores.errors == ["b.png: is truncated"]
    assert scores.left(np.arange(3)) == 0
    assert np.isnan(scores.values).tolist() == [False, True, False]


def test_the_thread_survives_an_error_that_nobody_has_foreseen():
    def broken(place):
        raise KeyError("label")

    scorer, places = Scorer(), np.arange(3)
    first = scorer.ask("broken", 3, broken, places)
    wait_for(lambda: first.left(places) == 0)
    assert first.errors == ["KeyError: 'label'"] * 3
    second = scorer.ask("other", 3, float, places)
    wait_for(lambda: second.left(places) == 0)
    assert second.values.tolist() == [0, 1, 2]
