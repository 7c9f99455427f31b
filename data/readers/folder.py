"""Reader of your own data in a plain folder.

::

    root/images/NAME.jpg       RGB images (jpg, png, ...)
    root/labels.csv            image,tags[,split]: tags separated by a space; split "train" or "evaluation"
    root/classes.txt           (optional) one class name per line; without it: all tags, sorted
    root/depth/NAME.png        (optional) 16-bit depth in millimetres
    root/masks/NAME.png        (optional) label maps for scoring: 0 background, 1..K, 255 ignored (16 bits: 65535)
    root/coarse/NAME.png       (optional) coarse label maps for training (method coarse), unlabelled as ignored,
    root/coarse/NAME.json      or labelme polygons, "background" is one of the class names,
    root/coarse.json           or polygons of all images in one COCO file

Rows without a split are in the train split. If no row is in the evaluation split, every image with a mask is in both.
If there is no mask either, the set has no evaluation split. A row with empty tags is an image of background alone.

Both text files are UTF-8. A class name has no space and no ``|``. "background" is class 0 and no tag; only the first
line of ``classes.txt`` may name it. Depth, masks and annotations have the size of the image as it is shown: turned as
its EXIF orientation says.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections import Counter
from pathlib import Path

from data.errors import DatasetError
from data.files.text_file import read_text
from data.readers.common import Listing, is_inside, sorted_index
from data.sample import EVALUATION, TRAIN, DatasetIndex, LabelLayer, Sample

BACKGROUND_NAME = "background"


def read_folder(root: Path, splits: dict[str, str] | None = None) -> DatasetIndex:
    """Index a plain folder; `splits` is unused, ``labels.csv`` gives the split of each image.

    Raises
    ------
    DatasetError
        If ``labels.csv`` or ``classes.txt`` is missing, unreadable or malformed, names a missing file, an unknown or
        impossible class or an unknown split, or if only some images have depth.
    """
    table = root / "labels.csv"
    rows = _rows(table)
    names = _class_names(root, rows)
    class_of = {name: class_number for class_number, name in enumerate(names)}
    has_depth = (root / "depth").is_dir()
    images, depths, masks = (Listing(root / folder) for folder in ("images", "depth", "masks"))
    coarse_of = CoarseAnnotation(root, names)
    samples = []
    for row in rows:
        image = images.folder / row["image"]
        if not is_inside(row["image"]):
            raise DatasetError(f"{table}: the image '{row['image']}' is not below {images.folder}; correct its row")
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


def _rows(table: Path) -> list[dict[str, str]]:
    """The rows of ``labels.csv``; each has a value in every column."""
    if not table.exists():
        raise DatasetError(
            f"{table}: file is missing; --data-root must name the folder that holds images/ and labels.csv"
        )
    reader = csv.DictReader(io.StringIO(read_text(table), newline=""), strict=True)
    rows, end = [], 0
    try:
        header = reader.fieldnames or ()
        if not {"image", "tags"} <= set(header) or len(set(header)) < len(header):
            raise DatasetError(f"{table}: needs a header line with the columns image,tags (or image,tags,split)")
        end = reader.line_num
        for row in reader:
            end = reader.line_num
            place = f"{table}: line {end}"
            if None in row or None in row.values():
                raise DatasetError(
                    f"{place} has {'more' if None in row else 'fewer'} values than the header {','.join(header)}; "
                    "separate values by a comma and tags by a space"
                )
            if BACKGROUND_NAME in row["tags"].split():
                raise DatasetError(
                    f"{place} has the tag '{BACKGROUND_NAME}', which is class 0 and no tag; leave it out"
                )
            rows.append(row)
    except csv.Error as error:
        raise DatasetError(f"{table}: is malformed from line {end + 1} on ({error}); correct its quotes") from error
    if not rows:
        raise DatasetError(f"{table}: lists no image; add rows below the header line")
    return rows


def _class_names(root: Path, rows: list[dict[str, str]]) -> tuple[str, ...]:
    """Class names, number 0 first: those of ``classes.txt``, else all tags, sorted."""
    source = root / "classes.txt"
    if source.exists():
        names = [line.strip() for line in read_text(source).splitlines() if line.strip()]
        names = names[1:] if names[:1] == [BACKGROUND_NAME] else names
    else:
        source = root / "labels.csv"
        names = sorted({tag for row in rows for tag in row["tags"].split()})
    for name, count in Counter(names).items():
        if name == BACKGROUND_NAME:
            raise DatasetError(f"{source}: '{name}' is class 0; write it in the first line, or leave it out")
        if count > 1:
            raise DatasetError(f"{source}: lists the class '{name}' {count} times; remove lines")
        if "|" in name or len(name.split()) > 1:
            raise DatasetError(f"{source}: the class name '{name}' has a space or '|' in it; write '_' instead")
    return (BACKGROUND_NAME, *names)


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
