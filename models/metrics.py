"""Segmentation scores from one confusion matrix accumulated over a split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.label_values import UNLABELLED


def confusion_matrix(truth: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixel counts by true class (row) and predicted class (column).

    Parameters
    ----------
    truth : ndarray, integer, any shape
        0..num_classes-1; pixels of 255 are ignored.
    prediction : ndarray, same shape
        0..num_classes-1, or 255 = unlabelled, counted in an extra last column.
    num_classes : int
        K+1, background included.

    Returns
    -------
    ndarray, (num_classes, num_classes + 1), int64
        int64, for 32 bits wrap on a split of COCO's size.

    Raises
    ------
    ValueError
        If a value is none of these, or the shapes differ.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth {truth.shape} and prediction {prediction.shape} differ in shape")
    counted = truth != UNLABELLED
    rows = truth[counted].astype(np.int64)
    columns = prediction[counted].astype(np.int64)
    columns[columns == UNLABELLED] = num_classes
    if rows.size and (rows.max() >= num_classes or columns.max() > num_classes or min(rows.min(), columns.min()) < 0):
        raise ValueError(f"labels must be 0..{num_classes - 1} or {UNLABELLED}")
    cells = np.bincount(rows * (num_classes + 1) + columns, minlength=num_classes * (num_classes + 1))
    return cells.reshape(num_classes, num_classes + 1)


def class_iou(confusion: np.ndarray, unlabelled_is_wrong: bool = True) -> np.ndarray:
    """Intersection over union of each class.

    Parameters
    ----------
    confusion : ndarray, (C, C + 1), from `confusion_matrix`
    unlabelled_is_wrong : bool
        True: a pixel left unlabelled is missed by its class, as in a full segmentation. False: it is
        ignored, which measures how right the labelled pixels are.

    Returns
    -------
    ndarray, (C,), float64 in [0, 1]; NaN for a class that neither truth nor prediction has.
    """
    square = confusion[:, :-1].astype(np.float64)
    missed = confusion[:, -1] if unlabelled_is_wrong else 0
    intersection = np.diag(square)
    union = square.sum(0) + square.sum(1) + missed - intersection
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(union > 0, intersection / union, np.nan)


def mean_iou(confusion: np.ndarray, unlabelled_is_wrong: bool = True) -> float:
    """Mean of `class_iou` over the classes that the ground truth has; NaN if there is none.

    A class without ground truth in a split has no IoU to speak of: counted as 0, twelve stray pixels of it in seven
    million cost 6.5 points of a mean over thirteen. Such pixels still count, as missed by their own class.
    """
    ious = class_iou(confusion, unlabelled_is_wrong)[confusion.sum(1) > 0]
    return float(np.nanmean(ious)) if np.isfinite(ious).any() else float("nan")


def coverage(confusion: np.ndarray) -> float:
    """Share of the counted pixels that have a label, in [0, 1]; NaN without pixels."""
    total = confusion.sum()
    return float(1.0 - confusion[:, -1].sum() / total) if total else float("nan")


def inner_boundary(mask: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """Pixels of a mask that touch a pixel outside it (4 neighbours); the image's border and `ignored` do not count.

    Parameters
    ----------
    mask, ignored : ndarray, (H, W), bool

    Returns
    -------
    ndarray, (H, W), bool
    """
    outside = ~mask & ~ignored
    touched = np.zeros_like(mask)
    touched[1:] |= outside[:-1]
    touched[:-1] |= outside[1:]
    touched[:, 1:] |= outside[:, :-1]
    touched[:, :-1] |= outside[:, 1:]
    return mask & touched & ~ignored


def grow_disk(mask: np.ndarray, radius: int) -> np.ndarray:
    """Pixels within `radius` (Euclidean) of a pixel of the mask, (H, W) bool."""
    height, width = mask.shape
    padded = np.pad(mask, radius)
    grown = np.zeros_like(mask)
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            if down**2 + right**2 <= radius**2:
                grown |= padded[radius + down : radius + down + height, radius + right : radius + right + width]
    return grown


def boundary_counts(truth: np.ndarray, prediction: np.ndarray, num_classes: int, tolerance: int = 3) -> np.ndarray:
    """Boundary pixels of each class and those that the other map has within `tolerance` pixels.

    Counts add up over a split; `boundary_f_score` makes scores of their sum.

    Parameters
    ----------
    truth, prediction : ndarray, (H, W), integer
        As for `confusion_matrix`; where truth is 255 no boundary counts.
    num_classes : int
        K+1, background included.
    tolerance : int
        Pixels, Euclidean.

    Returns
    -------
    ndarray, (num_classes, 4), int64
        Boundary pixels of the prediction, those near a true one, true boundary pixels, those near a predicted
        one. Row 0 (background) stays 0: each of its boundaries is one of another class.
    """
    ignored = truth == UNLABELLED
    counts = np.zeros((num_classes, 4), np.int64)
    for number in np.union1d(np.unique(truth), np.unique(prediction)):
        if number in (0, UNLABELLED):
            continue
        predicted, true = inner_boundary(prediction == number, ignored), inner_boundary(truth == number, ignored)
        near_true, near_predicted = grow_disk(true, tolerance), grow_disk(predicted, tolerance)
        matched = (predicted & near_true).sum(), (true & near_predicted).sum()
        counts[number] = predicted.sum(), matched[0], true.sum(), matched[1]
    return counts


def boundary_f_score(counts: np.ndarray) -> np.ndarray:
    """F of boundary precision and recall of each class (Csurka et al., BMVC 2013), from summed `boundary_counts`.

    Returns
    -------
    ndarray, (C,), float64 in [0, 1]; NaN for a class without a true boundary, as background.
    """
    predicted, precise, true, recalled = counts.astype(np.float64).T
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(predicted > 0, precise / predicted, 0.0)
        recall = np.where(true > 0, recalled / true, 0.0)
        score = np.where(precision + recall > 0, 2 * precision * recall / (precision + recall), 0.0)
    return np.where(true > 0, score, np.nan)


def region_boundary(labels: np.ndarray) -> np.ndarray:
    """Pixels with a 4-neighbour of another label, (H, W) bool."""
    boundary = np.zeros(labels.shape, bool)
    below, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    boundary[1:] |= below
    boundary[:-1] |= below
    boundary[:, 1:] |= right
    boundary[:, :-1] |= right
    return boundary


def border_counts(truth: np.ndarray, prediction: np.ndarray, tolerance: int = 2) -> np.ndarray:
    """Border pixels between any two labels of the truth, and those with a predicted border near (eq. 3.10).

    Parameters
    ----------
    truth, prediction : ndarray, (H, W), integer
        Where truth is 255 no border counts.
    tolerance : int
        Pixels, Euclidean.

    Returns
    -------
    ndarray, (2,), int64; counts add up over a split, the second over the first is the boundary recall
    """
    border = region_boundary(truth) & (truth != UNLABELLED)
    near = grow_disk(region_boundary(prediction), tolerance)
    return np.array([border.sum(), (border & near).sum()], np.int64)


def pixel_accuracy(confusion: np.ndarray) -> float:
    """Share of the counted pixels whose class is right, in [0, 1]; NaN without pixels."""
    total = confusion.sum()
    return float(np.diag(confusion).sum() / total) if total else float("nan")


def cam_segmentation(cam: np.ndarray, classes: np.ndarray, threshold: float) -> np.ndarray:
    """Label map of CAMs and a global background threshold: argmax_c M_c where it exceeds it, else 0.

    Parameters
    ----------
    cam : ndarray, (S, H, W)
        CAMs of the present classes, in [0, 1].
    classes : ndarray, (S,), integer
    threshold : float

    Returns
    -------
    ndarray, (H, W), uint8
    """
    if not len(classes):
        return np.zeros(cam.shape[1:], np.uint8)
    return np.where(cam.max(0) > threshold, np.asarray(classes)[cam.argmax(0)], 0).astype(np.uint8)


def best_threshold(confusions: Sequence[np.ndarray], thresholds: Sequence[float]) -> int:
    """Number of the threshold with the highest mIoU; the whole sweep counts, not its first peak."""
    scores = np.array([mean_iou(confusion) for confusion in confusions])
    if len(scores) != len(thresholds) or not np.isfinite(scores).any():
        raise ValueError("needs one confusion matrix a threshold, at least one of them with pixels")
    return int(np.nanargmax(scores))
