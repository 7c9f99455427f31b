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
from data.readers.common import Listing, sorted_index
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
    images, depths, masks = (Listing(root / folder) for folder in ("images", "depth", "masks"))
    coarse_of = CoarseAnnotation(root, names)
    samples = []
    for row in rows:
        image = images.folder / row["image"]
        if row["image"] not in images:
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
        stem = image.stem
        depth = depths.folder / f"{stem}.png" if has_depth else None
        if depth is not None and depth.name not in depths:
            raise DatasetError(
                f"{depth}: depth file is missing; give every image a depth file, or remove the folder depth/"
            )
        samples.append(
            Sample(
                image_id=f"{split}/{stem}",
                split=split,
                image=image,
                tags=tuple(sorted({class_of[tag] for tag in row["tags"].split()})),
                depth=depth,
                truth=(LabelLayer(masks.folder / f"{stem}.png"),) if f"{stem}.png" in masks else (),
                coarse=coarse_of(image),
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


class CoarseAnnotation:
    """Finds the coarse annotation of an image: a label map, polygons of its own, or polygons in one file for all."""

    def __init__(self, root: Path, names: tuple[str, ...]):
        self.listing, self.names = Listing(root / "coarse"), names
        self.polygons_of_all = root / "coarse.json"
        self.has_polygons_of_all = self.polygons_of_all.exists()

    def __call__(self, image: Path) -> tuple[LabelLayer, ...]:
        if not (self.listing.names or self.has_polygons_of_all):
            return ()
        for ending, encoding, member in ((".png", "", ""), (".json", "labelme", "|".join(self.names))):
            if (name := image.stem + ending) in self.listing:
                return (LabelLayer(self.listing.folder / name, None, encoding, member),)
        if self.has_polygons_of_all:
            return (LabelLayer(self.polygons_of_all, None, "coco_polygons", "|".join([image.name, *self.names])),)
        return ()
