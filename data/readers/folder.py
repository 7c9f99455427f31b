"""Reader of your own data in a plain folder.

::

    root/images/NAME.jpg       RGB images (jpg, png, ...)
    root/labels.csv            image,tags[,split]: tags separated by a space; split "train" or "evaluation"
    root/classes.txt           (optional) one class name per line; without it: all tags, sorted
    root/depth/NAME.png        (optional) 16-bit depth in millimetres; some images may have none
    root/masks/NAME.png        (optional) label maps for scoring: 0 background, 1..K, 255 ignored (16 bits: 65535)
    root/coarse/NAME.png       (optional) coarse label maps for training (method coarse), unlabelled as ignored,
    root/coarse/NAME.json      or labelme polygons, "background" is one of the class names,
    root/coarse.json           or polygons of all images in one COCO file
    root/crops/CLASS/NAME.png  (optional) photographs of one object each (`data.readers.cutouts`)

Rows without a split are in the train split. If no row is in the evaluation split, every image with a mask is in both.
If there is no mask either, the set has no evaluation split. The tags ``-`` say that an image shows background alone; a
training image must have tags or this.

Both text files are UTF-8. A class name has no space and no ``|``. "background" is class 0 and no tag; only the first
line of ``classes.txt`` may name it. Depth, masks and annotations have the size of the image as it is shown: turned as
its EXIF orientation says.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from data.errors import DatasetError
from data.files.text_file import read_text
from data.readers.common import Listing, is_inside, sorted_index
from data.readers.merging import Merging, read_merging
from data.sample import EVALUATION, TRAIN, DatasetIndex, Samples

BACKGROUND_NAME = "background"

NO_TAGS = "-"
"""The tags of an image that shows no class. An empty cell may have been forgotten."""

MILLIMETRE = 0.001
"""Metres per count of the depth files."""


def read_folder(root: Path, splits: dict[str, str] | None = None, merge: Path | None = None) -> DatasetIndex:
    """Index a plain folder; `splits` is unused, ``labels.csv`` gives the split of each image.

    Parameters
    ----------
    root : Path
    splits : dict
    merge : Path, optional
        CSV file of categories into which classes are merged (`data.readers.merging.read_merging`).

    Raises
    ------
    DatasetError
        If ``labels.csv`` or ``classes.txt`` is missing, unreadable or malformed, names a missing file, an unknown or
        impossible class or an unknown split, or if classes cannot be merged.
    """
    rows = _rows(root / "labels.csv")
    names = _class_names(root, rows)
    samples = _samples(root, names, rows)
    if merge is None:
        return sorted_index(root, names, Samples.of_rows(root, samples))
    merging = read_merging(merge, names)
    return sorted_index(root, merging.names, Samples.of_rows(root, (_merged(row, merging) for row in samples)))


def _merged(row: dict[str, Any], merging: Merging) -> dict[str, Any]:
    """The row of a sample with categories instead of classes."""
    if any(encoding for _, _, encoding, _ in row["coarse"]):
        raise DatasetError(
            f"{row['image']}: the classes of coarse polygons cannot be merged; merge them in their files, or leave out "
            "--IndexDataset-merge"
        )
    layers = {name: [[path, None, "merged", merging.member] for path, *_ in row[name]] for name in ("truth", "coarse")}
    return {**row, **layers, "tags": sorted({merging.numbers[tag] for tag in row["tags"]})}


class _Labelled(NamedTuple):
    """A row of ``labels.csv``."""

    image: str
    tags: str
    split: str


def _samples(root: Path, names: tuple[str, ...], rows: list[_Labelled]) -> Iterator[dict[str, Any]]:
    """Yield the row of each sample (`data.sample.COLUMNS`), in the order of ``labels.csv``."""
    class_of = {name: class_number for class_number, name in enumerate(names)}
    images, depths, masks = (Listing(root / folder) for folder in ("images", "depth", "masks"))
    coarse_of = CoarseAnnotation(root, names)
    has_evaluation = any(row.split == EVALUATION for row in rows)
    for row in rows:
        if row.image not in images.names:
            _require_image(root, row, images)
        unknown = [tag for tag in row.tags.split() if tag not in class_of]
        if unknown:
            raise DatasetError(
                f"{root / 'labels.csv'}: {row.image} has the unknown class '{unknown[0]}'; "
                f"add it to classes.txt or use one of: {', '.join(names[1:])}"
            )
        if row.split not in (TRAIN, EVALUATION):
            raise DatasetError(
                f"{root / 'labels.csv'}: {row.image} has the split '{row.split}'; use {TRAIN} or {EVALUATION}"
            )
        name = os.path.basename(row.image)
        stem = os.path.splitext(name)[0]
        png = f"{stem}.png"
        sample = {
            "image_id": f"{row.split}/{stem}",
            "split": row.split,
            "image": f"images/{row.image}",
            "tags": sorted({class_of[tag] for tag in row.tags.split()}),
            "depth": f"depth/{png}" if png in depths else "",
            "depth_unit": MILLIMETRE,
            "size": (0, 0),
            "truth": [[f"masks/{png}", None, "", ""]] if png in masks else [],
            "coarse": coarse_of(name, stem),
        }
        yield sample
        if sample["truth"] and not has_evaluation:
            yield {**sample, "split": EVALUATION, "image_id": f"{EVALUATION}/{stem}"}


def _require_image(root: Path, row: _Labelled, images: Listing) -> None:
    table = root / "labels.csv"
    if not is_inside(row.image):
        raise DatasetError(f"{table}: the image '{row.image}' is not below {images.folder}; correct its row")
    if row.image not in images:
        raise DatasetError(
            f"{images.folder / row.image}: image file is missing, though {table.name} lists it; restore it or remove "
            "its row"
        )


def _rows(table: Path) -> list[_Labelled]:
    """The rows of ``labels.csv``; each has a value in every column. Without a split, it is the train split."""
    if not table.exists():
        raise DatasetError(
            f"{table}: file is missing; --data-root must name the folder that holds images/ and labels.csv"
        )
    reader = csv.reader(io.StringIO(read_text(table), newline=""), strict=True)
    rows, end = [], 0
    try:
        header = next(reader, [])
        if not {"image", "tags"} <= set(header) or len(set(header)) < len(header):
            raise DatasetError(f"{table}: needs a header line with the columns image,tags (or image,tags,split)")
        end = reader.line_num
        image, tags = header.index("image"), header.index("tags")
        split = header.index("split") if "split" in header else None
        for row in reader:
            end = reader.line_num
            if not row:
                continue
            place = f"{table}: line {end}"
            if len(row) != len(header):
                raise DatasetError(
                    f"{place} has {'more' if len(row) > len(header) else 'fewer'} values than the header "
                    f"{','.join(header)}; separate values by a comma and tags by a space"
                )
            if BACKGROUND_NAME in row[tags].split():
                raise DatasetError(
                    f"{place} has the tag '{BACKGROUND_NAME}', which is class 0 and no tag; leave it out"
                )
            labelled = _Labelled(row[image], row[tags], (split is not None and row[split]) or TRAIN)
            if labelled.split == TRAIN and not labelled.tags.split():
                raise DatasetError(
                    f"{place} has no tags; write '{NO_TAGS}' as tags of an image that shows none of the classes"
                )
            rows.append(labelled._replace(tags="") if labelled.tags.strip() == NO_TAGS else labelled)
    except csv.Error as error:
        raise DatasetError(f"{table}: is malformed from line {end + 1} on ({error}); correct its quotes") from error
    if not rows:
        raise DatasetError(f"{table}: lists no image; add rows below the header line")
    return rows


def _class_names(root: Path, rows: list[_Labelled]) -> tuple[str, ...]:
    """Class names, number 0 first: those of ``classes.txt``, else all tags, sorted."""
    source = root / "classes.txt"
    if source.exists():
        names = [line.strip() for line in read_text(source).splitlines() if line.strip()]
        names = names[1:] if names[:1] == [BACKGROUND_NAME] else names
    else:
        source = root / "labels.csv"
        names = sorted({tag for row in rows for tag in row.tags.split()})
    for name, count in Counter(names).items():
        if name == BACKGROUND_NAME:
            raise DatasetError(f"{source}: '{name}' is class 0; write it in the first line, or leave it out")
        if count > 1:
            raise DatasetError(f"{source}: lists the class '{name}' {count} times; remove lines")
        if "|" in name or len(name.split()) > 1:
            raise DatasetError(f"{source}: the class name '{name}' has a space or '|' in it; write '_' instead")
        if name == NO_TAGS:
            raise DatasetError(f"{source}: '{name}' stands for an image without a class; give the class another name")
    return (BACKGROUND_NAME, *names)


class CoarseAnnotation:
    """Finds the coarse annotation of an image: a label map, polygons of its own, or polygons in one file for all."""

    def __init__(self, root: Path, names: tuple[str, ...]):
        self.listing, self.names = Listing(root / "coarse"), names
        self.polygons_of_all = root / "coarse.json"
        self.has_polygons_of_all = self.polygons_of_all.exists()

    def __call__(self, name: str, stem: str) -> list[list]:
        """The layers of the image of this name, as rows have them (`data.sample.COLUMNS`)."""
        for ending, encoding, member in ((".png", "", ""), (".json", "labelme", "|".join(self.names))):
            if stem + ending in self.listing:
                return [[f"coarse/{stem}{ending}", None, encoding, member]]
        if self.has_polygons_of_all:
            return [[self.polygons_of_all.name, None, "coco_polygons", "|".join([name, *self.names])]]
        return []
