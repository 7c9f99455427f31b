"""What is known of a data set before any image is opened: images, tags, splits, depth."""

from __future__ import annotations

import numpy as np

from data.cooccurrence import Cooccurrence, told_apart
from data.files.pixels import IMAGE_SUFFIXES
from data.readers.common import Listing
from data.sample import EVALUATION, TRAIN, DatasetIndex

MOST_PARTNERS = 3
"""Classes that are named beside a class."""


def dataset_summary(dataset: DatasetIndex) -> str:
    """Images, depth and masks of both splits, images per class, and what tags cannot tell apart.

    The index of a data set that was only listed is enough: no image is opened.
    """
    splits = {name: dataset.split(name) for name in (TRAIN, EVALUATION)}
    counts = {name: Cooccurrence.of(samples) for name, samples in splits.items()}
    rows = {
        "images": {name: len(samples) for name, samples in splits.items()},
        "with depth": {name: int((found.table.values["depth"] != "").sum()) for name, found in splits.items()},
        "with ground truth": {name: _filled(found.table.values["truth"]) for name, found in splits.items()},
        "without any tag": {name: sum(not tags for tags in samples.tags) for name, samples in splits.items()},
    }
    width = max(18, *(len(name) + 1 for name in dataset.class_names))
    lines = [f"{dataset.root}: {dataset.num_classes} classes", f"{'':{width}}{TRAIN:>8}{EVALUATION:>12}"]
    lines += [f"{title:{width}}{found[TRAIN]:>8}{found[EVALUATION]:>12}" for title, found in rows.items()]
    lines += ["", f"{'class':{width}}{TRAIN:>8}{EVALUATION:>12}{'alone':>8}  in train together with"]
    train = counts[TRAIN]
    for number, name in enumerate(dataset.class_names[1:], start=1):
        partners = train.partners(number)
        named = ", ".join(f"{dataset.class_names[other]} {count}" for other, count in partners[:MOST_PARTNERS])
        more = f" and {len(partners) - MOST_PARTNERS} more" if len(partners) > MOST_PARTNERS else ""
        lines.append(
            f"{name:{width}}{train.images[number]:>8}{counts[EVALUATION].images[number]:>12}{train.alone[number]:>8}  "
            f"{named or '–'}{more}"
        )
    return "\n".join([*lines, *_notes(dataset, train)])


def _filled(column: np.ndarray) -> int:
    """Rows of a column of JSON lists that are not empty."""
    return int(np.sum([text not in ("", "[]") for text in column.tolist()]))


def _notes(dataset: DatasetIndex, train: Cooccurrence) -> list[str]:
    """Lines about what a user may not expect."""
    found = told_apart(train, dataset.class_names)
    crowded = sum(not train.alone[number] for number in train.images)
    if crowded:
        found.append(f"{crowded} of {len(train.images)} classes are never the only tag of a training image")
    used = {sample.image for sample in dataset.samples if sample.image.parent == dataset.root / "images"}
    idle = [
        name
        for name in Listing(dataset.root / "images").names
        if name.lower().endswith(IMAGE_SUFFIXES) and dataset.root / "images" / name not in used
    ]
    if idle:
        found.append(f"{len(idle)} images in {dataset.root / 'images'} have no tags and are left out: {min(idle)}, ...")
    return ["", *found] if found else []
