"""Segmentation scores from one confusion matrix accumulated over a split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

UNLABELLED = 255


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
    """Mean of `class_iou` over the classes that occur; NaN if none does."""
    ious = class_iou(confusion, unlabelled_is_wrong)
    return float(np.nanmean(ious)) if np.isfinite(ious).any() else float("nan")


def coverage(confusion: np.ndarray) -> float:
    """Share of the counted pixels that have a label, in [0, 1]; NaN without pixels."""
    total = confusion.sum()
    return float(1.0 - confusion[:, -1].sum() / total) if total else float("nan")


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
