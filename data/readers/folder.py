"""Reader of your own data in a plain folder.

::

    root/images/NAME.jpg       RGB images (jpg, png, ...)
    root/labels.csv            image,tags[,split]: tags separated by a space; split "train" or "evaluation"
    root/classes.txt           (optional) one class name per line; without it: all tags, sorted
    root/depth/NAME.png        (optional) 16-bit depth in millimetres
    root/masks/NAME.png        (optional) label maps for scoring: 0 background, 1..K, 255 ignored
    root/coarse/NAME.png       (optional) coarse label maps for training (method coarse), 255 = unlabelled,
    root/coarse/NAME.json      or labelme polygons, "background" is one of the class names,
    root/coarse.json           or polygons of all images in one COCO file

Rows without a split are in the train split. If no row is in the evaluation split, every image with a mask is in both.
"""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

from data.errors import DatasetError
from data.readers.common import sorted_index
from data.sample import EVALUATION, TRAIN, DatasetIndex, LabelLayer, Sample


def read_folder(root: Path, splits: dict[str, str] | None = None) -> DatasetIndex:
    """Index a plain folder; `splits` is unused, ``labels.csv`` gives the split of each image.

    Raises
    ------
    DatasetError
        If ``labels.csv`` is missing or lacks a column, names a missing file or an unknown class or split,
        or if only some images have depth.
    """
    table = root / "labels.csv"
    try:
        with open(table, newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise DatasetError(
            f"{table}: file is missing; --data-root must name the folder that holds images/ and labels.csv"
        ) from error
    if not rows or not {"image", "tags"} <= rows[0].keys():
        raise DatasetError(f"{table}: needs a header line with the columns image,tags and at least one row")
    names = _class_names(root, rows)
    class_of = {name: class_number for class_number, name in enumerate(names)}
    has_depth = (root / "depth").is_dir()
    samples = []
    for row in rows:
        image = root / "images" / row["image"]
        if not image.exists():
            raise DatasetError(
                f"{image}: image file is missing, though {table.name} lists it; restore it or remove its row"
            )
        unknown = [tag for tag in row["tags"].split() if tag not in class_of]
        if unknown:
            raise DatasetError(
                f"{table}: {row['image']} has the unknown class '{unknown[0]}'; "
                f"add it to classes.txt or use one of: {', '.join(names[1:])}"
            )
        split = row.get("split") or TRAIN
        if split not in (TRAIN, EVALUATION):
            raise DatasetError(f"{table}: {row['image']} has the split '{split}'; use {TRAIN} or {EVALUATION}")
        depth = root / "depth" / f"{image.stem}.png"
        if has_depth and not depth.exists():
            raise DatasetError(
                f"{depth}: depth file is missing; give every image a depth file, or remove the folder depth/"
            )
        mask = root / "masks" / f"{image.stem}.png"
        samples.append(
            Sample(
                image_id=f"{split}/{image.stem}",
                split=split,
                image=image,
                tags=tuple(sorted({class_of[tag] for tag in row["tags"].split()})),
                depth=depth if has_depth else None,
                truth=(LabelLayer(mask),) if mask.exists() else (),
                coarse=_coarse(root, image, names),
            )
        )
    if not any(sample.split == EVALUATION for sample in samples):
        samples += [
            dataclasses.replace(sample, split=EVALUATION, image_id=f"{EVALUATION}/{sample.image.stem}")
            for sample in samples
            if sample.truth
        ]
    return sorted_index(root, names, samples)


def _class_names(root: Path, rows: list[dict]) -> tuple[str, ...]:
    listed = root / "classes.txt"
    if listed.exists():
        names = [line.strip() for line in listed.read_text().splitlines() if line.strip()]
        names = names[1:] if names[:1] == ["background"] else names
    else:
        names = sorted({tag for row in rows for tag in row["tags"].split()})
    return ("background", *names)


def _coarse(root: Path, image: Path, names: tuple[str, ...]) -> tuple[LabelLayer, ...]:
    """The coarse annotation of an image, if there is one."""
    label_map = root / "coarse" / f"{image.stem}.png"
    polygons = root / "coarse" / f"{image.stem}.json"
    polygons_of_all = root / "coarse.json"
    if label_map.exists():
        return (LabelLayer(label_map),)
    if polygons.exists():
        return (LabelLayer(polygons, None, "labelme", "|".join(names)),)
    if polygons_of_all.exists():
        return (LabelLayer(polygons_of_all, None, "coco_polygons", "|".join([image.name, *names])),)
    return ()
