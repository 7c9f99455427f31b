"""Average precision of instances (COCO), computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

ANY_CLASS = 1
"""Category of all instances if classes do not count."""


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """Mask (H, W) bool as COCO's compressed run lengths, for `average_precision`."""
    from pycocotools import mask as coco_mask

    with warnings.catch_warnings():  # its __array__ is older than NumPy 2
        warnings.simplefilter("ignore", DeprecationWarning)
        return coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))


def average_precision(
    truth: Sequence[Mapping[str, Any]], predicted: Sequence[Mapping[str, Any]], with_classes: bool = True
) -> dict[str, Any] | None:
    """AP of masks as COCO defines it: mean over IoU thresholds 0.5, 0.55, ..., 0.95, and over classes.

    Parameters
    ----------
    truth : sequence of dict
        ``image`` (number), ``class``, ``ignored`` (bool), ``mask`` (`run_lengths`), ``area`` in pixels.
    predicted : sequence of dict
        ``image``, ``class``, ``score``, ``mask``.
    with_classes : bool
        False: all instances count as one class.

    Returns
    -------
    dict or None
        ``ap``, ``ap50``, ``ap75`` in [0, 1], and ``per_class``: class -> AP. None if no instance counts.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def category(item: Mapping[str, Any]) -> int:
        return int(item["class"]) if with_classes else ANY_CLASS

    if all(item["ignored"] for item in truth):
        return None
    sizes = {int(item["image"]): item["mask"]["size"] for item in (*truth, *predicted)}
    categories = {category(item) for item in truth if not item["ignored"]}
    whole, found = COCO(), COCO()
    for coco in (whole, found):
        coco.dataset = {
            "images": [{"id": image, "height": size[0], "width": size[1]} for image, size in sorted(sizes.items())],
            "categories": [{"id": number} for number in sorted(categories)],
        }
    whole.dataset["annotations"] = [
        {
            "id": number, "image_id": item["image"], "category_id": category(item), "segmentation": item["mask"],
            "area": float(item["area"]), "iscrowd": int(item["ignored"]), "ignore": int(item["ignored"]),
        }
        for number, item in enumerate(truth, start=1)
    ]  # fmt: skip
    found.dataset["annotations"] = [
        {
            "id": number, "image_id": item["image"], "category_id": category(item), "segmentation": item["mask"],
            "area": 1.0, "iscrowd": 0, "score": float(item["score"]),
        }
        for number, item in enumerate(predicted, start=1)
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        whole.createIndex()
        found.createIndex()
        evaluation = COCOeval(whole, found, "segm")
        evaluation.evaluate()
        evaluation.accumulate()
    # (thresholds, recalls, classes, areas, numbers of detections): all areas, 100 detections
    precision = np.asarray(evaluation.eval["precision"])[:, :, :, 0, -1]
    counted = np.where(precision >= 0, precision, np.nan)
    return {
        "ap": float(np.nanmean(counted)),
        "ap50": float(np.nanmean(counted[0])),
        "ap75": float(np.nanmean(counted[5])),
        "per_class": {
            int(number): float(np.nanmean(counted[:, :, place]))
            for place, number in enumerate(evaluation.params.catIds)
        },
    }
