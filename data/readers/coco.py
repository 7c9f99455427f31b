"""Reader of the MS COCO layout (https://cocodataset.org), 2014 or any set in its format.

::

    root/train2014/COCO_train2014_000000000009.jpg    root/annotations/instances_train2014.json
    root/val2014/COCO_val2014_000000000042.jpg        root/annotations/instances_val2014.json

Classes are numbered in the order of the category ids, which have gaps: 80 classes with ids up to 90.
The tags are the categories of an image's instances; crowds (``iscrowd`` 1) give no tag. Its masks are drawn from the
same file on demand. An image with an annotation that has no segmentation (a box alone) has tags and no masks: what the
box surrounds is no background.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from data.errors import DatasetError
from data.files.coco_file import annotations_of, read_coco_file
from data.readers.common import is_inside, required, sorted_index
from data.sample import DatasetIndex, LabelLayer, Sample


def read_coco(root: Path, splits: dict[str, str]) -> DatasetIndex:
    """Index a COCO set; `splits` names image folders, and with them the ``instances_*.json``.

    Images without an instance of a class are kept: they have no tag.

    Raises
    ------
    DatasetError
        If a folder, an annotation file or an image is missing, or the splits differ in their classes.
    """
    samples: list[Sample] = []
    names: tuple[str, ...] = ()
    for split, folder in splits.items():
        path = root / "annotations" / f"instances_{folder}.json"
        content = read_coco_file(path)
        instances, class_of = annotations_of(path)
        categories = sorted(content["categories"], key=lambda category: category["id"])
        listed = ("background", *(category["name"] for category in categories))
        if names and listed != names:
            raise DatasetError(f"{path}: categories differ from those of the other split; give both the same")
        names = listed
        for item in content["images"]:
            if not is_inside(item["file_name"]):
                raise DatasetError(f"{path}: the image '{item['file_name']}' is not below {root / folder}; correct it")
            found = {class_of[a["category_id"]] for a in instances.get(item["id"], ()) if not a.get("iscrowd")}
            image = required(root / folder / item["file_name"], path.name)
            is_drawn = not any(map(_is_box, instances.get(item["id"], ())))
            truth = (LabelLayer(path, None, "coco", str(item["id"])),) if is_drawn else ()
            samples.append(Sample(f"{folder}/{image.stem}", split, image, tuple(sorted(found)), truth=truth))
    return sorted_index(root, names, samples, splits)


def _is_box(annotation: dict) -> bool:
    """True for an annotation that outlines nothing: no polygon has three corners."""
    found = annotation["segmentation"]
    return isinstance(found, list) and not any(isinstance(polygon, list) and len(polygon) >= 6 for polygon in found)


def coco_notes(root: Path, index: DatasetIndex) -> list[str]:
    """Lines about what gives no ground truth (boxes) and no tag (crowds), for a set that `read_coco` indexed."""
    lines = []
    for folder in sorted({image_id.rpartition("/")[0] for image_id in index.samples.ids}):
        path = root / "annotations" / f"instances_{folder}.json"
        instances, class_of = annotations_of(path)
        boxes = [next(filter(_is_box, items)) for items in instances.values() if any(map(_is_box, items))]
        if boxes:
            lines.append(
                f"{path.name}: {len(boxes)} of {len(read_coco_file(path)['images'])} images have annotations without a "
                f"segmentation, such as {boxes[0]['id']}, so these images have tags but no ground truth; add outlines "
                "if scores are wanted"
            )
        missing = _crowds_alone(instances, class_of)
        if missing:
            named = ", ".join(f"{index.class_names[number]} ({count})" for number, count in missing.most_common(5))
            lines.append(
                f"{path.name}: {missing.total()} times, an image shows a class as a crowd (iscrowd 1) alone, which is "
                f"no tag: {named}{', ...' if len(missing) > 5 else ''}; CVAT exports brush masks of single objects as "
                "crowds: if these are such, write iscrowd 0"
            )
    return lines


def _crowds_alone(instances: Mapping[int, Sequence[dict]], class_of: Mapping[int, int]) -> Counter[int]:
    """Class number -> images that show it in no annotation but crowds."""
    found: Counter[int] = Counter()
    for items in instances.values():
        single = {item["category_id"] for item in items if not item.get("iscrowd")}
        found.update(class_of[name] for name in {item["category_id"] for item in items} - single)
    return found
