"""Image-level tags of a plain folder: the rows of ``labels.csv``, or one folder for each class."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import NamedTuple

from data.errors import DatasetError
from data.files.pixels import IMAGE_SUFFIXES
from data.files.text_file import read_text
from data.readers.common import Listing
from data.sample import EVALUATION, TRAIN

BACKGROUND_NAME = "background"

NO_TAGS = "-"
"""The tags of an image that shows no class. An empty cell may have been forgotten."""

TAGS_APART = (",", ";")
"""What other programs write between tags; here it would make two tags one class."""

EVALUATION_NAMES = ("val", "validation", "valid", "test", "testing", "evaluation")
"""Names, in lower case, of the evaluation split in other programs. Of several folders, the first is read."""

OTHER_FOLDERS = frozenset(
    ("images", "depth", "masks", "coarse", "crops", "corrections", "instances", "intrinsics", "train", "val", "test")
)
"""Folders in that of a data set that are no classes."""

SPLIT_FOLDERS = frozenset(("train", "training", *EVALUATION_NAMES))
"""Names of splits. Where ``images/`` has folders of these names alone, they are no classes."""


class Tagged(NamedTuple):
    """An image with its tags.

    Attributes
    ----------
    image : str
        File, relative to `Tags.folder`.
    tags : str
        Class names separated by a space; empty: the image shows none.
    split : str
    stem : str
        Its depth is ``depth/<stem>.png``; the other files that belong to it have the same name.
    name : str
        The image id is ``<split>/<name>``.
    flat : str
        Where there is no file with the name `stem`, the files of the image may have this name; empty: they may not.
    """

    image: str
    tags: str
    split: str
    stem: str
    name: str
    flat: str = ""


class Tags(NamedTuple):
    """All images with their tags.

    Attributes
    ----------
    source : Path
        File or folder that says the tags, for error lines.
    folder : str
        Folder of the images in that of the data set.
    rows : list of Tagged
    """

    source: Path
    folder: str
    rows: list[Tagged]


def row_of(image: str, tags: str, split: str) -> Tagged:
    """The row of an image in ``images/``. Its other files have this name, too, or else the last part of it."""
    stem = os.path.splitext(os.path.normpath(image) if "/" in image else image)[0]
    name = os.path.basename(stem)
    return Tagged(image, "" if tags.strip() == NO_TAGS else tags, split, stem, name, name)


def class_folders(root: Path) -> Tags | None:
    """The images with one folder for each class, as torchvision's ImageFolder has them; None if there are none.

    ::

        root/images/CLASS/NAME.jpg    or    root/CLASS/NAME.jpg    or    root/train/CLASS/NAME.jpg
                                                                         root/val/CLASS/NAME.jpg

    In place of ``val`` another of `EVALUATION_NAMES` may be there. A folder ``background`` has images that show none of
    the classes.

    Raises
    ------
    DatasetError
        If the folder of a class has images in folders below it, or the folders in ``images/`` are named as splits.
    """
    evaluation = dict.fromkeys(EVALUATION_NAMES, EVALUATION)
    for splits in ({"images": TRAIN}, {"train": TRAIN, **evaluation}, {"": TRAIN}):
        rows: list[Tagged] = []
        for folder, split in splits.items():
            if split == EVALUATION and any(row.split == EVALUATION for row in rows):
                continue  # val is there, so test stays unseen
            rows += _class_rows(root, folder, split)
        if any(row.split == TRAIN for row in rows):
            whole = list(splits) == ["images"]
            if whole and {row.tags for row in rows} <= SPLIT_FOLDERS:
                raise DatasetError(
                    f"{root / 'images'}: its folders are named as splits, not as classes; write {root / 'labels.csv'} "
                    "(image,tags,split), or name a file of tags with --IndexDataset-tags"
                )
            return Tags(root, "images" if whole else "", rows)
    return None


def _class_rows(root: Path, folder: str, split: str) -> list[Tagged]:
    rows = []
    for name in sorted(Listing(root / folder).names):
        place = root / folder / name
        if name.startswith(".") or (not folder and name in OTHER_FOLDERS) or not place.is_dir():
            continue
        tag = "" if name in (BACKGROUND_NAME, NO_TAGS) else one_word(name)
        for file in sorted(Listing(place).names):
            stem, ending = os.path.splitext(file)
            if ending.lower() in IMAGE_SUFFIXES:
                of_split = "" if folder in ("", "images") else f"{folder}/"
                rows.append(
                    Tagged(f"{of_split}{name}/{file}", tag, split, f"{of_split}{name}/{stem}", f"{name}/{stem}")
                )
            elif not file.startswith("."):
                _refuse_images(place / file, name)
    return rows


def _refuse_images(folder: Path, name: str) -> None:
    """Raise DatasetError if `folder`, in that of a class, has images. A file has none."""
    if any(file.lower().endswith(IMAGE_SUFFIXES) for file in Listing(folder).names):
        raise DatasetError(
            f"{folder}: has images, but lies in the folder of the class '{name}'; put them into "
            f"{folder.parent}, or, if '{name}' is no class, move it elsewhere"
        )


def one_word(name: str) -> str:
    """A class name as `data.readers.folder` takes it: words are joined by ``_``.

    Examples
    --------
    >>> one_word(" coffee  mug ")
    'coffee_mug'
    """
    return "_".join(name.split())


def read_table(table: Path) -> Tags:
    """The rows of ``labels.csv``; each has a value in every column. Without a split, it is the train split.

    Raises
    ------
    DatasetError
        If the file is missing or malformed, lists no image, or a training image has no tags.
    """
    if not table.exists():
        raise DatasetError(
            f"{table}: file is missing; --data-root must name the folder that holds images/ and labels.csv, "
            "or one folder for each class; or name an export of tags with --IndexDataset-tags"
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
            separator = next((sign for sign in TAGS_APART if sign in row[tags]), "")
            if separator:
                raise DatasetError(
                    f"{place} has a '{separator}' in its tags '{row[tags]:.40}'; separate tags by a space"
                )
            if BACKGROUND_NAME in row[tags].split():
                raise DatasetError(
                    f"{place} has the tag '{BACKGROUND_NAME}', which is class 0 and no tag; leave it out"
                )
            in_split = (split is not None and row[split]) or TRAIN
            if in_split == TRAIN and not row[tags].split():
                raise DatasetError(
                    f"{place} has no tags; write '{NO_TAGS}' as tags of an image that shows none of the classes"
                )
            rows.append(row_of(row[image], row[tags], in_split))
    except csv.Error as error:
        raise DatasetError(f"{table}: is malformed from line {end + 1} on ({error}); correct its quotes") from error
    if not rows:
        raise DatasetError(f"{table}: lists no image; add rows below the header line")
    return Tags(table, "images", rows)
