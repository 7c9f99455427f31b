"""What is unusual about a data set, one line each: frames of other sizes, images without depth, unused classes."""

from __future__ import annotations

import numpy as np

from data.sample import TRAIN, DatasetIndex, Samples
from tasks.runtime.layout import unusual
from tasks.runtime.quality import NAMED, listed


def unusual_frames(samples: Samples) -> list[str]:
    """Findings that name the frames whose size is far from that of most others."""
    found = []
    for kind, frames in zip(("larger", "smaller"), unusual(samples), strict=True):
        if frames:
            named = listed(f"{frame.image_id} ({frame.size[1]}x{frame.size[0]})" for frame in frames)
            found.append(f"{len(frames)} of {len(samples)} images are much {kind} than the others: {named}")
    return found


def without_depth(samples: Samples) -> list[str]:
    """A finding about the images without depth in a set where others have it."""
    places = np.flatnonzero(samples.table.values["depth"] == "")
    if len(places) in (0, len(samples)):
        return []
    named = listed(samples[place].image_id for place in places[: NAMED + 1].tolist())
    return [f"{len(places)} of {len(samples)} images have no depth, so depth is not used there: {named}"]


def untagged_classes(index: DatasetIndex) -> list[str]:
    """A finding about the classes that no training image shows."""
    tagged = set().union(*index.split(TRAIN).tag_sets)
    missing = [name for number, name in enumerate(index.class_names) if number and number not in tagged]
    if not tagged or not missing:
        return []
    return [f"{len(missing)} of {index.num_classes} classes are no tag of any training image: {listed(missing)}"]
