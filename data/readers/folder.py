"""Reader of your own data in a plain folder.

::

    root/images/NAME.jpg       RGB images (jpg, png, ...)
    root/labels.csv            image,tags[,split]: tags separated by a space; split "train" or "evaluation"; instead of
                               it, one folder for each class (`data.readers.tag_rows.class_folders`), or the export of
                               an annotation tool (`data.readers.tag_exports`)
    root/classes.txt           (optional) one class name per line; without it: all tags, sorted
    root/depth/NAME.png        (optional) 16-bit depth in millimetres; some images may have none
    root/masks/NAME.png        (optional) label maps for scoring: 0 background, 1..K, 255 ignored (16 bits: 65535)
    root/coarse/NAME.png       (optional) coarse label maps for training (method coarse), unlabelled as ignored,
    root/coarse/NAME.json      or labelme polygons, "background" is one of the class names,
    root/coarse.json           or polygons of all images in one COCO file
    root/crops/CLASS/NAME.png  (optional) photographs of one object each (`data.readers.cutouts`)

Files of ``images/train/NAME.jpg`` are ``depth/train/NAME.png`` and so on, or else ``depth/NAME.png``; no two images may
have the same file (`data.readers.beside`). A depth file may be TIFF.

Rows without a split are in the train split. If no row is in the evaluation split, every image with a mask is in both.
If there is no mask either, the set has no evaluation split. The tags ``-`` say that an image shows background alone; a
training image must have tags or this.

Both text files are UTF-8. A class name has no space and no ``|``. "background" is class 0 and no tag; only the first
line of ``classes.txt`` may name it. Depth, masks and annotations have the size of the image as it is shown: turned as
its EXIF orientation says.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.errors import DatasetError
from data.files.text_file import read_text
from data.readers.beside import Beside, shared_names
from data.readers.common import Listing, is_inside, sorted_index
from data.readers.merging import Merging, read_merging
from data.readers.tag_exports import read_tags
from data.readers.tag_rows import BACKGROUND_NAME, NO_TAGS, Tagged, Tags, class_folders, read_table
from data.sample import EVALUATION, TRAIN, DatasetIndex, Samples

DEPTH_ENDINGS, MASK_ENDINGS = (".png", ".tif", ".tiff"), (".png",)

MILLIMETRE = 0.001
"""Metres per count of the depth files."""


def read_folder(
    root: Path, splits: dict[str, str] | None = None, merge: Path | None = None, tags: Path | None = None
) -> DatasetIndex:
    """Index a plain folder; `splits` is unused, the source of the tags gives the split of each image.

    Parameters
    ----------
    root : Path
    splits : dict
    merge : Path, optional
        CSV file of categories into which classes are merged (`data.readers.merging.read_merging`).
    tags : Path, optional
        File of the tags (`data.readers.tag_exports.read_tags`); None: ``labels.csv``, or one folder for each class.

    Raises
    ------
    DatasetError
        If the file of the tags or ``classes.txt`` is missing, unreadable or malformed, names a missing file, an unknown
        or impossible class or an unknown split, two images would have the same depth, mask or annotation, or if classes
        cannot be merged.
    """
    table = root / "labels.csv"
    found = read_tags(root, tags) if tags else (None if table.exists() else class_folders(root)) or read_table(table)
    names = _class_names(root, found)
    samples = _samples(root, names, found)
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


def _samples(root: Path, names: tuple[str, ...], tags: Tags) -> Iterator[dict[str, Any]]:
    """Yield the row of each sample (`data.sample.COLUMNS`), in the order of the tags."""
    class_of = {name: class_number for class_number, name in enumerate(names)}
    images, shared = Listing(root / tags.folder), shared_names(tags.rows)
    depth_of, mask_of = Beside(root / "depth", DEPTH_ENDINGS, shared), Beside(root / "masks", MASK_ENDINGS, shared)
    instances_of = Beside(root / "instances", MASK_ENDINGS, shared)
    coarse_of = CoarseAnnotation(root, names, shared)
    has_evaluation = any(row.split == EVALUATION for row in tags.rows)
    for row in tags.rows:
        if row.image not in images.names:
            _require_image(tags.source, row, images)
        unknown = [tag for tag in row.tags.split() if tag not in class_of]
        if unknown:
            raise DatasetError(
                f"{tags.source}: {row.image} has the unknown class '{unknown[0]}'; "
                f"add it to classes.txt or use one of: {', '.join(names[1:])}"
            )
        if row.split not in (TRAIN, EVALUATION):
            raise DatasetError(f"{tags.source}: {row.image} has the split '{row.split}'; use {TRAIN} or {EVALUATION}")
        mask = mask_of(row)
        if row.flat in shared:
            instances_of(row)  # scores find this file; here it is checked that no other image has it
        sample = {
            "image_id": f"{row.split}/{row.name}",
            "split": row.split,
            "image": os.path.join(tags.folder, row.image),
            "tags": sorted({class_of[tag] for tag in row.tags.split()}),
            "depth": depth_of(row),
            "depth_unit": MILLIMETRE,
            "size": (0, 0),
            "truth": [[mask, None, "", ""]] if mask else [],
            "coarse": coarse_of(row),
        }
        yield sample
        if sample["truth"] and not has_evaluation:
            yield {**sample, "split": EVALUATION, "image_id": f"{EVALUATION}/{row.name}"}


def _require_image(table: Path, row: Tagged, images: Listing) -> None:
    if not is_inside(row.image):
        raise DatasetError(f"{table}: the image '{row.image}' is not below {images.folder}; correct its row")
    if row.image not in images:
        raise DatasetError(
            f"{images.folder / row.image}: image file is missing, though {table.name} lists it; restore it or remove "
            "its row"
        )


def _class_names(root: Path, tags: Tags) -> tuple[str, ...]:
    """Class names, number 0 first: those of ``classes.txt``, else all tags, sorted."""
    source = root / "classes.txt"
    if source.exists():
        names = [line.strip() for line in read_text(source).splitlines() if line.strip()]
        names = names[1:] if names[:1] == [BACKGROUND_NAME] else names
    else:
        source = tags.source
        names = sorted({tag for row in tags.rows for tag in row.tags.split()})
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

    def __init__(self, root: Path, names: tuple[str, ...], shared: frozenset[str]):
        self.file_of, self.names, self.shared = Beside(root / "coarse", (".png", ".json"), shared), names, shared
        self.polygons_of_all = root / "coarse.json"
        self.has_polygons_of_all = self.polygons_of_all.exists()

    def __call__(self, row: Tagged) -> list[list]:
        """The layers of an image, as rows have them (`data.sample.COLUMNS`)."""
        file = self.file_of(row)
        if file:
            is_map = file.lower().endswith(".png")
            return [[file, None, "", ""] if is_map else [file, None, "labelme", "|".join(self.names)]]
        if self.has_polygons_of_all:
            name = row.image if row.flat in self.shared else os.path.basename(row.image)
            return [[self.polygons_of_all.name, None, "coco_polygons", "|".join([name, *self.names])]]
        return []
