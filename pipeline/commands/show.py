"""``depthseed show``: what is in one artifact."""

from __future__ import annotations

import argparse
from pathlib import Path

from data.errors import SettingError
from pipeline.asked import stage_and_flags, task_of
from pipeline.dataset_summary import dataset_summary
from pipeline.inspection import artifact_report, contact_sheet
from pipeline.similarity_pictures import similarity_sheet
from tasks.index_dataset import IndexDataset

HELP = (
    "parameters, shapes, statistics and a picture of one artifact; of IndexDataset, also before it is run: images per "
    "class, and classes that are always together"
)

NOTHING = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is shown, and where the picture goes."""
    parser.usage = "depthseed show STAGE_OR_PATH [--image ID] [--output FILE] [--similarities] [flags of luigi]"
    parser.add_argument("--image", help="image id; default: some images of the whole artifact")
    parser.add_argument("--output", type=Path, help="PNG file; default: <stage>-<identity>.png in this folder")
    parser.add_argument(
        "--similarities",
        action="store_true",
        help="of ExtractKeys: how many patches of an object are similar to each of its patches, and how many are not",
    )


def run(options: argparse.Namespace, flags: list[str]) -> int:
    """Print the report and write the picture."""
    name, flags = stage_and_flags(flags, NOTHING)
    if name == NOTHING:
        raise SettingError("show needs the path of an artifact, or the name of a stage")
    path = Path(name)
    if options.similarities:
        keys = task_of(name, flags)
        output = options.output or Path(f"similarities-{keys.identity}.png")
        similarity_sheet(keys, options.image, output)
        print(f"picture: {output}")
        return 0
    if not path.exists():
        task = task_of(name, flags)
        path = task.artifact.path
        if isinstance(task, IndexDataset):
            print(dataset_summary(task.indexed))
            if not task.complete():
                return 0
    print(artifact_report(path, options.image))
    output = options.output or Path(f"{path.parent.name}-{path.stem}.png")
    if contact_sheet(path, options.image, output):
        print(f"picture: {output}")
    return 0
