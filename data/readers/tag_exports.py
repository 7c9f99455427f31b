"""Image-level tags from the exports of annotation tools: COCO, Label Studio and CVAT."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

from data.errors import DatasetError
from data.files.pixels import IMAGE_SUFFIXES
from data.files.regular_file import read_bytes
from data.readers.common import Listing, is_inside
from data.readers.tag_rows import (
    BACKGROUND_NAME,
    EVALUATION_NAMES,
    NO_TAGS,
    Tagged,
    Tags,
    one_word,
    read_table,
    row_of,
)
from data.sample import EVALUATION, TRAIN

UPLOAD = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of a file that was uploaded."""

SHAPES = ("rectangle", "polygon", "brush", "ellipse", "keypoint", "bitmask", "vector")
"""Types of results of Label Studio that outline something without saying what."""

Found = Iterator[tuple[str, set[str], str]]
"""Name of an image as the tool knows it, its tags, and its subset (empty: none)."""


def read_tags(root: Path, source: Path) -> Tags:
    """The tags in a file: a table (``.csv``), an export of CVAT (``.xml``), or one of COCO or Label Studio (``.json``).

    An image without a tag is left out: nobody may have looked at it yet. The tag ``background`` alone says that an
    image shows none of the classes. A task of Label Studio that was annotated without any result says so, too.
    Spaces in the names of classes become ``_``.

    Parameters
    ----------
    root : Path
        Folder of the data set; the images are in ``root/images``.
    source : Path
        A relative path is relative to the present folder, or else to `root`.

    Raises
    ------
    DatasetError
        If the file is missing, malformed or of another format, or names an image that is missing.
    """
    if not source.exists() and not source.is_absolute():
        source = root / source
    ending = source.suffix.lower()
    if ending == ".csv":
        return read_table(source)
    if ending not in (".json", ".xml"):
        raise DatasetError(f"{source}: tags are read from .csv, .json (COCO, Label Studio) or .xml (CVAT); export one")
    try:
        found = list(_cvat(source) if ending == ".xml" else _json(source))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(
            f"{source}: is no export of image tags that is known ({type(error).__name__}: {error}); export as COCO, "
            "Label Studio JSON, or CVAT for images"
        ) from error
    images = Listing(root / "images")
    rows = [_row(source, images, *one) for one in found if one[1]]
    if not rows:
        raise DatasetError(f"{source}: gives no image a tag; annotate some images and export again")
    splits: dict[str, str] = {}
    for row in rows:
        if splits.setdefault(row.image, row.split) != row.split:
            raise DatasetError(
                f"{source}: two of its images are {images.folder / row.image}, one to train and one to evaluate; put "
                "each into the folder that the export names"
            )
    return Tags(source, "images", rows)


def _row(source: Path, images: Listing, name: str, tags: set[str], subset: str) -> Tagged:
    named = {one_word(tag) for tag in tags} - {BACKGROUND_NAME, NO_TAGS}
    split = EVALUATION if subset.lower() in EVALUATION_NAMES else TRAIN
    return row_of(_file(source, images, name), " ".join(sorted(named)) or NO_TAGS, split)


def _file(source: Path, images: Listing, name: str) -> str:
    """The file in ``images/`` that a tool means by a name: a path, an address, or a name with a prefix."""
    parts = urlsplit(name)
    named = parse_qs(parts.query).get("d", [unquote(parts.path)])[0] if "?" in name or "://" in name else name
    base = os.path.basename(named.replace("\\", "/"))
    whole = (named, base, UPLOAD.sub("", base))
    frames = (f"{name}{ending}" for name in whole for ending in IMAGE_SUFFIXES)  # CVAT names frames of a video without
    for candidate in (*whole, *frames):
        if is_inside(candidate) and candidate in images and not (images.folder / candidate).is_dir():
            return candidate
    raise DatasetError(f"{source}: names the image '{name}', but {images.folder / base} is missing; put it there")


def _json(source: Path) -> Found:
    content = json.loads(read_bytes(source))
    if isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys():
        return _coco(content)
    if isinstance(content, list):
        return _label_studio(content)
    raise ValueError("neither an object with images, annotations and categories, nor a list of tasks")


def _coco(content: dict[str, Any]) -> Found:
    """Every category of an annotation of an image is a tag, whatever the annotation outlines."""
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    tags: dict[Any, set[str]] = {image["id"]: set() for image in content["images"]}
    for annotation in content["annotations"]:
        tags[annotation["image_id"]].add(names[annotation["category_id"]])
    for image in content["images"]:
        yield str(image["file_name"]), tags[image["id"]], ""


def _label_studio(content: list[Any]) -> Found:
    """The choices and labels of shapes of all annotators of a task together; one without annotators has no tags."""
    controls: set[str] = set()
    for task in content:
        given = [found for found in task["annotations"] if not found.get("was_cancelled")]
        results = [result for annotation in given for result in annotation["result"]]
        controls |= {str(result.get("from_name")) for result in results if result["type"] == "choices"}
        if len(controls) > 1:
            raise ValueError(
                f"it has choices of several questions ({', '.join(sorted(controls))}), and only one can name the "
                "classes; take the results of the others out"
            )
        tags = {str(tag) for result in results for tag in _named(result)}
        image = _image_of(task["data"].values())
        if not tags and any(result["type"] in SHAPES or result["type"].endswith("labels") for result in results):
            raise ValueError(f"'{image}' has shapes without a label; give them one")
        others = sorted({result["type"] for result in results} - {"choices"})
        if not tags and others:
            raise ValueError(
                f"'{image}' has results of the type {', '.join(others)} alone, and tags are read from choices and "
                "labels of shapes; add such a result, or take all out if the image shows none of the classes"
            )
        yield image, tags or ({NO_TAGS} if given else set()), ""


def _named(result: dict[str, Any]) -> list[Any]:
    """What a result of Label Studio calls the image, or a shape in it: ``choices``, ``rectanglelabels``, ``labels``."""
    kind = result["type"]
    if kind == "choices":
        return result["value"][kind]
    return result["value"].get(kind, []) if kind.endswith("labels") else []


def _image_of(values: Iterable[Any]) -> str:
    """The address of the image among the data of a task."""
    found = [value for value in values if isinstance(value, str) and re.search(r"\.\w{3,4}$", value)]
    if len(found) != 1:
        raise ValueError(f"a task must have one file among its data, not {len(found)}")
    return found[0]


def _cvat(source: Path) -> Found:
    """Format "CVAT for images 1.1": a tag of an image is one, and so is the label of a shape."""
    try:
        document = ElementTree.fromstring(read_bytes(source))
    except (ElementTree.ParseError, LookupError) as error:  # the latter: encodings that it cannot read
        raise ValueError(str(error)) from error
    for image in document.iter("image"):
        yield (
            image.attrib["name"],
            {part.attrib["label"] for part in image if "label" in part.attrib},
            (image.get("subset") or ""),
        )
