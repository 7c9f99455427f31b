"""Instances in the formats of other tools: COCO, the BOP challenge's 2D segmentation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from data.files.label_export import run_lengths

NO_TIME = -1.0
"""BOP's value of the time of an image that was not measured, in seconds."""


class ExportedInstance(NamedTuple):
    """One instance.

    Attributes
    ----------
    class_number : int
        0 = any class.
    score : float or None
        None for a class of a label map, which has no score.
    box : sequence of 4 int, pixels
        Left, top, width, height.
    mask : ndarray, (H, W), bool
    """

    class_number: int
    score: float | None
    box: Sequence[int]
    mask: np.ndarray

    @property
    def scored(self) -> dict[str, float]:
        """The entry ``score`` of a file; empty without a score."""
        return {} if self.score is None else {"score": round(float(self.score), 6)}


def coco_instances(
    class_names: Sequence[str], images: Iterable[tuple[str, tuple[int, int], Sequence[ExportedInstance]]]
) -> dict[str, list[dict[str, Any]]]:
    """Content of a COCO file with one annotation per instance, with its score.

    Parameters
    ----------
    class_names : sequence of str
        Number 0 first. It is a category only if an instance has no class; then it is called ``object``.
    images : iterable of (file name, (height, width), instances)
        Image ids count from 1.
    """
    listed: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (name, (height, width), instances) in enumerate(images, start=1):
        listed.append({"id": image_id, "file_name": name, "height": height, "width": width})
        for item in instances:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": item.class_number,
                    "iscrowd": 0,
                    "area": int(item.mask.sum()),
                    "bbox": [int(side) for side in item.box],
                    **item.scored,
                    "segmentation": run_lengths(item.mask),
                }
            )
    used = {item["category_id"] for item in annotations}
    categories = [
        {"id": number, "name": name if number else "object"}
        for number, name in enumerate(class_names)
        if number or 0 in used
    ]
    return {"images": listed, "annotations": annotations, "categories": categories}


def bop_results(
    frames: Iterable[tuple[tuple[int, int], Sequence[ExportedInstance]]],
    object_ids: Sequence[int],
    seconds: float = NO_TIME,
) -> list[dict[str, Any]]:
    """Content of a results file of the BOP challenge's 2D segmentation.

    Parameters
    ----------
    frames : iterable of ((scene, frame), instances)
    object_ids : sequence of int
        BOP's ``obj_id`` of each class number, 0 first (`data.readers.bop.object_ids`).
    seconds : float
        Time of an image. All instances of an image must have the same one.
    """
    return [
        {
            "scene_id": scene,
            "image_id": frame,
            "category_id": object_ids[item.class_number],
            **item.scored,
            "bbox": [int(side) for side in item.box],
            "segmentation": run_lengths(item.mask),
            "time": seconds,
        }
        for (scene, frame), instances in frames
        for item in instances
    ]
