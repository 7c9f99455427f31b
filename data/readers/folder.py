"""Reader of one's own data: a plain folder.

::

    root/images/NAME.jpg       RGB images (jpg, png, ...)
    root/labels.csv            image,tags[,split]: tags separated by a space; split "train" or "evaluation"
    root/classes.txt           (optional) one class name a line; without it the tags found, sorted
    root/depth/NAME.png        (optional) 16-bit depth in millimetres
    root/masks/NAME.png        (optional) label maps for scores: 0 background, 1..K, 255 ignored
    root/coarse/NAME.png       (optional) coarse label maps to learn from (method coarse), 255 = not labelled,
    root/coarse/NAME.json      or labelme polygons, "background" among the class names,
    root/coarse.json           or polygons of all images in one COCO file

Rows without a split train; when none is "evaluation", every image with a mask is used for both.
"""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

from data.errors import DatasetError
from data.sample import EVALUATION, TRAIN, DatasetIndex, LabelLayer, Sample


def read_folder(root: Path, splits: dict[str, str] | None = None) -> DatasetIndex:
    """Index a plain folder; `splits` is unused, the split stands in ``labels.csv``.

    Raises
    ------
    DatasetError
        If ``labels.csv`` is missing or misses a column, names a file that is not there or an unknown
        class or split, or if only some images have depth.
    """
    table = root / "labels.csv"
    try:
        with open(table, newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise DatasetError(f"{table}: file is missing; --dataset folder needs images/ and labels.csv there") from error
    if not rows or not {"image", "tags"} <= rows[0].keys():
        raise DatasetError(f"{table}: needs a header line with the columns image,tags and at least one row")
    names = _class_names(root, rows)
    class_of = {name: index for index, name in enumerate(names)}
    has_depth = (root / "depth").is_dir()
    samples = []
    for row in rows:
        image = root / "images" / row["image"]
        if not image.exists():
            raise DatasetError(f"{image}: image file is missing, though {table.name} lists it")
        unknown = [tag for tag in row["tags"].split() if tag not in class_of]
        if unknown:
            raise DatasetError(
                f"{table}: {row['image']} has the unknown class '{unknown[0]}'; classes.txt knows {names[1:]}"
            )
        split = row.get("split") or TRAIN
        if split not in (TRAIN, EVALUATION):
            raise DatasetError(f"{table}: {row['image']} has the split '{split}'; use {TRAIN} or {EVALUATION}")
        depth = root / "depth" / f"{image.stem}.png"
        if has_depth and not depth.exists():
            raise DatasetError(f"{depth}: depth file is missing; give every image depth, or remove the folder depth/")
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
    return DatasetIndex(root, names, tuple(sorted(samples, key=lambda s: (s.split != TRAIN, s.image_id))))


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
    label_map, polygons, together = (
        root / "coarse" / f"{image.stem}.png", root / "coarse" / f"{image.stem}.json", root / "coarse.json",
    )  # fmt: skip
    if label_map.exists():
        return (LabelLayer(label_map),)
    if polygons.exists():
        return (LabelLayer(polygons, None, "labelme", "|".join(names)),)
    if together.exists():
        return (LabelLayer(together, None, "coco_polygons", "|".join([image.name, *names])),)
    return ()
