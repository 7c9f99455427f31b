"""Reader of the MS COCO layout (https://cocodataset.org), 2014 or any set in its format.

::

    root/train2014/COCO_train2014_000000000009.jpg    root/annotations/instances_train2014.json
    root/val2014/COCO_val2014_000000000042.jpg        root/annotations/instances_val2014.json

Classes are numbered in the order of the category ids, which have gaps: 80 classes with ids up to 90.
The tags are the categories of an image's instances. Its masks are drawn from the same file on demand.
"""

from __future__ import annotations

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
            truth = LabelLayer(path, None, "coco", str(item["id"]))
            samples.append(Sample(f"{folder}/{image.stem}", split, image, tuple(sorted(found)), truth=(truth,)))
    return sorted_index(root, names, samples, splits)
