"""Time of a plan: what `luigi` does before it knows that nothing is to be done.

    python benchmarks/plan.py [--images 100000] [--folder DIR]

Makes a folder set of tiny images with depth, and complete artifacts with the right number of shard files (of a few
bytes) for RunAll and for an Ablation of 50 stages. Prints the seconds of ``complete()`` of both in a new process
(median, minimum and maximum of 3), the number of stages, how often a marker was read, and how long the first look at
the data set took: every image and depth map is hashed then, and later runs ask for size and time alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (24, 32)
CLASSES = ("mug", "can", "box", "ball")
ABLATION = {"losses": "none,deal,all", "heads": "gap", "seeds": "0,1,2", "results": ("pseudo_labels", "predictions")}
"""With 9 variants of 5 stages each and what they share: about 50 stages."""


def make_data_set(root: Path, count: int) -> None:
    """A folder set whose files are links to one image and one depth map."""
    rng = np.random.default_rng(0)
    pictures = {"images": rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8), "depth": rng.integers(500, 1500, SIZE)}
    for kind, ending in (("images", ".jpg"), ("depth", ".png")):
        (root / kind).mkdir(parents=True)
        source = root / f"one{ending}"
        for index in range(count):
            if index % 50_000 == 0:  # file systems limit the links to one file
                Image.fromarray(pictures[kind].astype(np.uint8 if kind == "images" else np.uint16)).save(source)
                source = source.rename(root / f"one-{index}{ending}")
            os.link(source, root / kind / f"{index:06d}{ending}")
            if index % 50_000 == 49_999:
                source = root / f"one{ending}"
    lines = [
        f"{index:06d}.jpg,{CLASSES[index % len(CLASSES)]},{'evaluation' if index % 10 == 0 else 'train'}"
        for index in range(count)
    ]
    (root / "labels.csv").write_text("\n".join(["image,tags,split", *lines]) + "\n")


def fill_artifacts(tasks, count: int) -> int:
    """Give every stage a complete artifact with as many files as a real one; the number of stages."""
    from data.store.artifact import Artifact
    from data.store.sharded import ShardedStore
    from tasks.runtime.dag import stages
    from tasks.runtime.layout import SHARD_SIZE

    done = set()
    for task in tasks:
        for stage in stages(task):
            artifact = stage.artifact
            if artifact.path in done or type(stage).__name__ == "RunAll":
                continue
            done.add(artifact.path)
            arrays = ("first", "second") if isinstance(artifact, ShardedStore) else ()
            for array in arrays:
                for shard in range(-(-count // SHARD_SIZE)):
                    file = artifact.path / array / "c" / str(shard) / "0"
                    file.parent.mkdir(parents=True)
                    file.write_bytes(b"shard")
            artifact.path.mkdir(parents=True, exist_ok=True)
            (artifact.path / "stage.json").write_text("{}")
            parents = {f"{name} {up.identity}": up.artifact.digest() for name, up in stage.required.items()}
            Artifact.finish(artifact, parents, stage.identity)  # a store would first look into its shards
    return len(done)


def tasks_of(folder: Path):
    from pipeline import Ablation, RunAll

    common = {"dataset": "folder", "data_root": str(folder / "set"), "artifacts": str(folder / "artifacts")}
    return RunAll(**common), Ablation(**common, **ABLATION)


def measure(folder: Path) -> dict[str, float]:
    """Seconds from the import to the answer of ``complete()``, of RunAll and then of the Ablation."""
    start = time.perf_counter()
    from data.store.artifact import Artifact
    from tasks.runtime.dag import stages

    read = 0
    content = Artifact._content

    def counted(self):
        nonlocal read
        read += 1
        return content(self)

    Artifact._content = counted
    run_all, ablation = tasks_of(folder)
    imported = time.perf_counter()
    assert run_all.complete()
    first = time.perf_counter()
    assert ablation.complete()
    last = time.perf_counter()
    found = {(stage.label, stage.identity) for task in (run_all, ablation) for stage in stages(task)}
    return {
        "import": imported - start,
        "RunAll": first - imported,
        "Ablation": last - first,
        "stages": len(found),
        "markers read": read,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="for the set and the artifacts; default: a temporary one")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.folder)))
        return
    folder = options.folder or Path(tempfile.mkdtemp())
    make_data_set(folder / "set", options.images)
    tasks = tasks_of(folder)
    start = time.perf_counter()
    tasks[0].identity  # noqa: B018
    print(f"first look at {options.images} images: {time.perf_counter() - start:.1f} s")
    print(f"artifacts of {fill_artifacts(tasks, options.images)} stages made")
    command = [sys.executable, __file__, "--measure", "--folder", str(folder)]
    runs = [json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(3)]
    for name in runs[0]:
        values = sorted(run[name] for run in runs)
        print(
            f"{name:14} {values[1]:8.2f}" + (f"   ({values[0]:.2f} to {values[-1]:.2f} s)" if name[0] in "iRA" else "")
        )
    if not options.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
