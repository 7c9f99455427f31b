"""Exported labels in FiftyOne: images with class maps (png) or with masks (coco), and a filter by class.

    pip install fiftyone
    python examples/fiftyone_view.py artifacts/hope/ExportLabels/<identity> --images /data/bop/hope

EXPORT is the folder of ExportLabels with the format png or coco, or of ExportInstances with coco. ``--images`` is the
folder of the data set.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def class_maps(export: Path, images: Path) -> list[tuple[Path, Path]]:
    """Image and its class map, for each image of an export with the format png."""
    table = json.loads((export / "images.json").read_text(encoding="utf-8"))
    pairs = [(images / name, export / "png" / f"{image_id}.png") for image_id, name in table.items()]
    for pair in pairs:
        for path in pair:
            if not path.is_file():
                raise SystemExit(f"{path}: file is missing; --images must be the folder of the data set")
    return pairs


def mask_targets(export: Path) -> dict[int, str]:
    """Class number -> name; the background has no name in FiftyOne."""
    names = json.loads((export / "classes.json").read_text(encoding="utf-8"))
    return {number: name for number, name in enumerate(names) if number}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--format", choices=("png", "coco"), default="png")
    arguments = parser.parse_args()
    import fiftyone

    if arguments.format == "coco":
        dataset = fiftyone.Dataset.from_dir(
            dataset_type=fiftyone.types.COCODetectionDataset,
            data_path=str(arguments.images),
            labels_path=str(arguments.export / "coco.json"),
            label_types=["segmentations"],
        )
    else:
        dataset = fiftyone.Dataset()
        dataset.default_mask_targets = mask_targets(arguments.export)
        dataset.add_samples(
            fiftyone.Sample(filepath=str(image.resolve()), labels=fiftyone.Segmentation(mask_path=str(mask.resolve())))
            for image, mask in class_maps(arguments.export, arguments.images)
        )
    fiftyone.launch_app(dataset).wait()


if __name__ == "__main__":
    main()
