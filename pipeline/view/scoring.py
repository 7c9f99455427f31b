"""A number for each image, by which a list is sorted: IoU, loss, disagreement. They are computed in the background."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable

import numpy as np

from data.errors import DepthseedError
from data.sample import UNLABELLED
from pipeline.view.panels import PANELS, RESULTS, Changes, Side, are_labels, values
from pipeline.view.run import ViewedImage, ViewedRun

log = logging.getLogger("depthseed")

KEPT = 8
"""Measures whose numbers stay in memory. Each takes 5 bytes per image."""

CHUNK = 32
"""Images between two looks at what is asked for."""

Measure = Callable[[ViewedImage], float]
"""A number for an image; NaN if it has none."""


def image_iou(labels: np.ndarray, truth: np.ndarray, class_number: int | None = None) -> float:
    """IoU in percent of one image: the mean over its true classes, or that of one class; NaN if it is not defined.

    Parameters
    ----------
    labels, truth : ndarray, (H, W), uint16
        0..K; 65535 = unlabelled in `labels` (counts as wrong), ignored in `truth`.
    class_number : int, optional

    Examples
    --------
    >>> image_iou(np.array([[0, 0, 7]]), np.array([[0, 7, 7]]))
    50.0
    """
    from models.metrics import class_iou, confusion_matrix, mean_iou

    # The classes of one image are few: a matrix of all classes of a large set would take megabytes.
    present = np.union1d(labels[labels != UNLABELLED], truth[truth != UNLABELLED])
    places = [
        np.where(found == UNLABELLED, UNLABELLED, np.searchsorted(present, found)).astype(np.uint16)
        for found in (truth, labels)
    ]
    confusion = confusion_matrix(places[0], places[1], len(present))
    if class_number is None:
        return 100 * mean_iou(confusion)
    place = int(np.searchsorted(present, class_number))
    if place == len(present) or present[place] != class_number:
        return float("nan")
    return 100 * float(class_iou(confusion)[place])


def disagreement(first: np.ndarray, second: np.ndarray) -> float:
    """Share in percent of the pixels with other labels, of those that both maps label; NaN if there are none.

    Examples
    --------
    >>> disagreement(np.array([0, 1, 65535, 2]), np.array([0, 2, 1, 2]))
    33.33333333333333
    """
    both = (first != UNLABELLED) & (second != UNLABELLED)
    return 100 * float((first != second)[both].mean()) if both.any() else float("nan")


def tag_loss(logits: np.ndarray, tags: tuple[int, ...]) -> float:
    """Binary cross entropy of the classifier on the tags of an image, the mean over the classes (Kim 2022, eq. 1.2).

    Parameters
    ----------
    logits : ndarray, (K,), float
    tags : tuple of int
        1..K.

    Examples
    --------
    >>> round(tag_loss(np.array([0.0, 0.0]), (1,)), 4)
    0.6931
    """
    import torch
    import torch.nn.functional as F

    present = torch.zeros(len(logits))
    present[[tag - 1 for tag in tags]] = 1
    return float(F.binary_cross_entropy_with_logits(torch.from_numpy(logits.astype(np.float32)), present))


def measures(run: ViewedRun, split: str, pair: tuple[Side, Side] | None) -> dict[str, str]:
    """What the images of a split can be sorted by, besides ids and tags: name -> title."""
    there, result, found = run.stages[split], result_of(run, split), {}
    if result and (run.samples(split).table.values["truth"] != "").any():
        found["iou"] = f"IoU of the {result}"
    if "tags" in there:
        found["loss"] = "loss of the classifier (tags)"
    if pair and are_labels(*pair):
        found["disagreement"] = f"disagreement: {pair[0].title}, {pair[1].title}"
    return found


def result_of(run: ViewedRun, split: str) -> str | None:
    """Title of the panel of the label maps that the run is made for; None if they are not there."""
    return next((title for title in RESULTS if PANELS[title].source in run.stages[split]), None)


def measure(
    run: ViewedRun, split: str, name: str, changes: Changes, pair: tuple[Side, Side] | None, class_number: int | None
) -> Measure:
    """The function of one of `measures`."""
    if name == "iou":
        result = Side(result_of(run, split) or "")
        return lambda image: (
            image_iou(values(image, result, changes), values(image, Side("ground truth"), changes), class_number)
            if image.sample.truth
            else float("nan")
        )
    if name == "loss":
        return lambda image: tag_loss(image.stored("tags").read("logit"), image.sample.tags)
    assert pair is not None
    first, second = pair
    return lambda image: disagreement(values(image, first, changes), values(image, second, changes))


class Scores:
    """The numbers of one measure, as far as they are computed.

    Attributes
    ----------
    values : ndarray, (N,), float32
        NaN: not computed, or the image has none.
    errors : list of str
        One line for each image that could not be read.
    """

    def __init__(self, count: int, function: Callable[[int], float]):
        self.values = np.full(count, np.nan, np.float32)
        self.errors: list[str] = []
        self._function, self._done = function, np.zeros(count, bool)

    def left(self, places: np.ndarray) -> int:
        """Number of these positions that are not computed."""
        return len(places) - int(self._done[places].sum())

    def advance(self, places: np.ndarray, count: int = CHUNK) -> None:
        """Compute the next `count` of these positions that are not computed."""
        for place in places[~self._done[places]][:count].tolist():
            try:
                self.values[place] = self._function(place)
            except DepthseedError as error:
                self.errors.append(str(error))
                log.error("view: %s", error)
            except Exception as error:  # the thread must live: it computes all other numbers, too
                self.errors.append(f"{type(error).__name__}: {error}")
                log.exception("view: image %d cannot be measured", place)
            self._done[place] = True


class Scorer:
    """Computes measures in one thread, the one that was asked for last first."""

    def __init__(self) -> None:
        self._scores: dict[Hashable, Scores] = {}
        self._asked: tuple[Scores, np.ndarray] | None = None
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def ask(self, key: Hashable, count: int, function: Callable[[int], float], places: np.ndarray) -> Scores:
        """The numbers of a measure as they are now. What is missing of `places` is computed from now on.

        Parameters
        ----------
        key : hashable
            What the numbers depend on.
        count : int
            N, images of the split.
        function : callable
            Position -> number.
        places : ndarray, (M,), integer
        """
        with self._lock:
            found = self._scores.pop(key, None) or Scores(count, function)
            self._scores[key] = found  # the last one
            for old in list(self._scores)[:-KEPT]:
                del self._scores[old]
            self._asked = found, places
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True, name="scores of view")
                self._thread.start()
        self._wake.set()
        return found

    def _work(self) -> None:
        while True:
            asked = self._asked
            if asked is None or not asked[0].left(asked[1]):
                self._wake.clear()
                if asked is self._asked:
                    self._wake.wait()
                continue
            asked[0].advance(asked[1])
