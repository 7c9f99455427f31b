"""Cost of the whole pipeline against the number of images: seconds, memory, files and bytes of each stage.

    python benchmarks/scale.py --images 1000 [--folder DIR] [--processes 2] [--flag --dask=slurm]

Makes a folder set of images of 320x240 with depth and masks: 200 scenes of the demo's ray caster, mirrored and with
other brightness. Each image, depth map and mask is a file of its own. Then runs the command line RunAll with cheap
networks (`SETTINGS`), RunAll again, where everything is complete, and ``python -m pipeline status``. Prints a table of
the stages and the cost of the three commands. A run that was stopped goes on when the same command is given again.

The peak memory of a stage is that of the process that runs it. "largest process" is over all processes of a command.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
from PIL import Image

from data.demo import scenes
from data.store.artifact import MARKER, Artifact
from tasks.runtime.record import read_record

SIZE = (240, 320)
SCENES, FRAMES = 200, 10
"""Different pictures, and how many of them show the same table."""

DEPTH_STEP = 8
"""Depth has steps of so many millimetres, as that of many sensors. With the noise of the demo, its files are larger."""

EVALUATION_EVERY = 10
"""One image of this many is in the evaluation split."""

TINY = {"backbone": "test_resnet", "weights": "random"}
TRAINING = {
    **TINY, "output_stride": 16, "frozen_stride": 0, "epochs": 1, "least_steps": 0, "batch_size": 32, "crop_size": 32,
    "jitter": 0, "scale_min": 0.125, "scale_max": 0.125, "learning_rate": 0.02,
}  # fmt: skip
SMALL = {"train_scales": "0.25", "evaluation_scales": "0.25"}
SETTINGS: dict[str, dict[str, object]] = {
    "LoadDepth": {"median_size": 1},
    "TrainClassifier": TRAINING,
    "ExtractCams": {"scales": "0.25", "flip": False, "batch_size": 32},
    "ExtractKeys": {**TINY, "stride": 16, "image_scale": 0.5, "batch_size": 32},
    "DiscoverSuperpixels": {"units": "patches", "refinement": "nearest", "tau": 0.3},
    "GenerateSeeds": {"alpha": 0.3},
    "TrainSegmenter": {**TRAINING, "start": "pretrained", "paste": 0, "mosaic": 0, "input_scales": "1.0"},
    "PredictMasks": {**SMALL, "flip": False, "crf": "none", "batch_size": 32},
    "EvaluateMasks": {"results": "pseudo_labels,predictions"},
}
"""stage -> parameter -> value: what each stage needs beside its arithmetic is as in a real run, the rest is small."""


def make_data_set(root: Path, count: int) -> None:
    """Make the folder set, unless it is there; ``labels.csv`` is written last."""
    if (root / "labels.csv").exists():
        return
    source = root.parent / "scenes"
    if not source.exists():
        scenes.HEIGHT, scenes.WIDTH = SIZE
        scenes.render_demo(source, {"all": (SCENES // FRAMES, FRAMES)})
    for folder in ("images", "depth", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    folders = sorted(path for path in (source / "all").iterdir())
    with ProcessPoolExecutor() as pool:
        found = list(pool.map(_write_frames, folders, range(len(folders)), repeat(root), repeat(count)))
    (root / "classes.txt").write_text("\n".join(scenes.CLASSES) + "\n")
    rows = sorted(itertools.chain.from_iterable(found))
    (root / "labels.csv").write_text("\n".join(["image,tags,split", *rows]) + "\n")


def _write_frames(folder: Path, place: int, root: Path, count: int) -> list[str]:
    """Write all variations of the frames of one scene. Returns their rows of ``labels.csv``."""
    names = list(scenes.CLASSES)
    rows = []
    for frame, objects in json.loads((folder / "scene_gt.json").read_text()).items():
        stem = f"{int(frame):06d}"
        image = np.asarray(Image.open(folder / "rgb" / f"{stem}.jpg"))
        depth = np.asarray(Image.open(folder / "depth" / f"{stem}.png")) // DEPTH_STEP * DEPTH_STEP
        mask = np.zeros(SIZE, np.uint8)
        for number, entry in enumerate(objects):
            mask[np.asarray(Image.open(folder / "mask_visib" / f"{stem}_{number:06d}.png")) > 0] = entry["obj_id"]
        tags = " ".join(names[present - 1] for present in np.unique(mask) if present)
        for path, values in ((folder / "depth", depth), (folder / "mask_visib", mask)):
            for side, step in (("left", 1), ("right", -1)):
                Image.fromarray(np.ascontiguousarray(values[:, ::step])).save(path / f"variant-{stem}-{side}.png")
        first = place * FRAMES + int(frame)
        for variation, index in enumerate(range(first, count, SCENES)):
            side, step = (("left", 1), ("right", -1))[variation % 2]
            darker = (image[:, ::step] * (1 - 0.3 * (variation % 97) / 97)).astype(np.uint8)
            Image.fromarray(darker).save(root / "images" / f"{index:07d}.jpg", quality=85)
            shutil.copyfile(folder / "depth" / f"variant-{stem}-{side}.png", root / "depth" / f"{index:07d}.png")
            shutil.copyfile(folder / "mask_visib" / f"variant-{stem}-{side}.png", root / "masks" / f"{index:07d}.png")
            rows.append(f"{index:07d}.jpg,{tags},{'evaluation' if index % EVALUATION_EVERY == 0 else 'train'}")
    return rows


def run(command: list[str], folder: Path, log: Path) -> tuple[float, float, float]:
    """Run a command in `folder`. Returns its seconds, the CPU seconds of all its processes, the MB of the largest."""
    start = time.perf_counter()
    with open(log, "ab") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"exit code {process.returncode}; see {log}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def stage_rows(artifacts: Path) -> Iterator[tuple]:
    """One row per artifact in the order of completion: label, seconds, images/s, peak MB, files, MB."""
    found = []
    for record_file in (artifacts / ".runs").glob("*.json"):
        stage, _, identity = record_file.stem.rpartition("-")
        record, path = read_record(record_file), next((artifacts / stage).glob(f"{identity}*"))
        if not (path / MARKER).exists():
            continue
        label = json.loads((path / "stage.json").read_text())["stage"]
        found.append(((path / MARKER).stat().st_mtime, label, record, *Artifact(path).size()))
    for _, label, record, files, size in sorted(found, key=lambda row: row[0]):
        yield label, record["seconds"], record["images_per_second"], record["peak_memory_mb"], files, size / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="for the set and the artifacts; default: a temporary one")
    parser.add_argument("--processes", type=int, default=0, help="as of luigi; 0 = one per core")
    parser.add_argument("--flag", action="append", default=[], help="one more flag of the luigi command")
    options = parser.parse_args()
    folder = (options.folder or Path(tempfile.mkdtemp())).resolve()
    start = time.perf_counter()
    make_data_set(folder / "set", options.images)
    print(f"data set of {options.images} images: {time.perf_counter() - start:.0f} s", flush=True)
    place = ["--dataset", "folder", "--data-root", str(folder / "set"), "--artifacts", str(folder / "artifacts")]
    place += ["--settings", json.dumps(SETTINGS)]
    luigi = [sys.executable, "-m", "luigi", "--module", "pipeline", "RunAll", *place]
    luigi += ["--processes", str(options.processes), *options.flag]
    log = folder / "log.txt"
    costs = {"RunAll": run(luigi, folder, log), "RunAll again": run(luigi, folder, log)}
    costs["status"] = run([sys.executable, "-m", "pipeline", "status", *place], folder, log)

    rows = list(stage_rows(folder / "artifacts" / "folder"))
    print(f"\n{'stage':26}{'seconds':>9}{'ms/image':>10}{'images/s':>10}{'peak MB':>9}{'files':>8}{'MB':>10}")
    for label, seconds, rate, memory, files, size in rows:
        shown = f"{rate:10.1f}" if rate else f"{'–':>10}"
        print(f"{label:26}{seconds:9.1f}{1000 * seconds / options.images:10.3f}{shown}{memory:9}{files:8}{size:10.1f}")
    total = [sum(row[column] for row in rows) for column in (1, 4, 5)]
    print(f"{'sum':26}{total[0]:9.1f}{1000 * total[0] / options.images:10.3f}{'':19}{total[1]:8}{total[2]:10.1f}")
    print(f"\n{'command':26}{'seconds':>9}{'CPU seconds':>13}{'MB of its largest process':>28}")
    for name, (seconds, cpu, memory) in costs.items():
        print(f"{name:26}{seconds:9.1f}{cpu:13.1f}{memory:28.0f}")
    if not options.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
