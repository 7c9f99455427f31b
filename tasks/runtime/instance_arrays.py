"""The arrays of every stage that writes instances: the instance of each pixel, and a table of the instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from data.errors import ImageError
from data.sample import UNLABELLED, Sample
from data.store.tiles import ArraySpec
from tasks.runtime.layout import image_map

if TYPE_CHECKING:
    from data.store.sharded import StoredImage
    from models.instance_table import InstanceTable

MOST = 500
"""Largest number of instances in an image."""

NOTHING = 65535
"""Value of the padding of an instance map, and of a class without an instance."""


def instance_arrays(samples: Sequence[Sample]) -> dict[str, ArraySpec]:
    """Layouts: name -> array. Row n - 1 of the table is the instance n."""
    return {
        "instance": image_map(samples, "uint16", NOTHING, "instance, 0 = none, 65535 = padding"),
        "instance_class": _column("uint16", UNLABELLED, "class number, 0 = any class"),
        "score": _column("float32", float("nan"), "score"),
        "box": ArraySpec(
            ("instance_number", "side"),
            (MOST, 4),
            "int32",
            -1,
            {"units": "px", "long_name": "left, top, width, height"},
        ),
        "area": _column("int32", -1, "area", "px"),
    }


def _column(dtype: str, fill: float, long_name: str, units: str = "") -> ArraySpec:
    attrs = {**({"units": units} if units else {}), "long_name": long_name}
    return ArraySpec(("instance_number",), (MOST,), dtype, fill, attrs)


def stored_instances(sample: Sample, instances: np.ndarray, table: InstanceTable, finder: str) -> dict[str, np.ndarray]:
    """The values of one image for `instance_arrays`.

    Parameters
    ----------
    sample : Sample
    instances : ndarray, (H, W)
        Instance of each pixel, 0 = none.
    table : InstanceTable
    finder : str
        Name of the stage that has found the instances; its parameter ``smallest`` leaves out small ones.

    Raises
    ------
    ImageError
        If there are more than `MOST` instances.
    """
    if len(table.classes) > MOST:
        raise ImageError(
            f"{sample.image_id}: has {len(table.classes)} instances, at most {MOST} can be kept; raise "
            f"--{finder}-smallest"
        )
    return {
        "instance": instances.astype(np.uint16),
        "instance_class": table.classes.astype(np.uint16),
        "score": table.scores.astype(np.float32),
        "box": table.boxes.astype(np.int32),
        "area": table.areas.astype(np.int32),
    }


def read_stored(stored: StoredImage) -> tuple[np.ndarray, InstanceTable]:
    """The instance map of one image, (H, W) int64, and its table."""
    from models.instance_table import InstanceTable

    areas = stored.read("area")
    count = int((areas >= 0).sum())
    return stored.read("instance").astype(np.int64), InstanceTable(
        stored.read("instance_class")[:count].astype(np.int64),
        stored.read("score")[:count].astype(np.float64),
        stored.read("box")[:count].astype(np.int64),
        areas[:count].astype(np.int64),
    )
