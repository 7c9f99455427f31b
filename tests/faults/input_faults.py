"""Damaged inputs: JSON of a data set, images, archives, caches, and odd command lines."""

from __future__ import annotations

import copy
import json
import math
import shutil
import signal
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from faults.damage import flip_bit, spoil
from faults.finished_run import FinishedRun, as_a_new_process, no_log
from faults.mutations import mutated_bytes, mutated_json
from faults.odd_flags import COMMANDS, prepare
from faults.tally import Outcome, Row, outcome_of_error
from PIL import Image
from support import CommandLineHere

from data.files.archives import unpack
from data.files.images import read_depth, read_image
from data.files.labels import read_truth
from data.readers.bop import read_bop
from data.readers.label_maps import RememberedTags, read_masks
from data.sample import EVALUATION, TRAIN, DatasetIndex
from pipeline.asked import task_of
from pipeline.inspection import status_table
from tasks.runtime.dag import stages

SPLITS = {TRAIN: "train_pbr", EVALUATION: "test"}

LONGEST_COMMAND = 120
"""Seconds after which an odd command line counts as one that hangs."""


def try_bop_json(root: Path, row: Row, trials: int, rng: np.random.Generator) -> None:
    """Mutated JSON files of a BOP set. One that is still legal is read as what it says."""
    files = sorted(path for path in root.rglob("*.json"))
    texts = {path: path.read_text() for path in files}
    for _ in range(trials):
        path = files[int(rng.integers(len(files)))]
        path.write_text(mutated_json(json.loads(texts[path]), rng))
        try:
            problem = _illegal(read_bop(root, SPLITS))
        except Exception as error:  # what kind of error it is, is the question
            row.add(*_told(error, path, root))
        else:
            row.add(Outcome.WRONG if problem else Outcome.HARMLESS, f"{path.read_text()[:2000]!r}: {problem}")
        path.write_text(texts[path])


def _illegal(index: DatasetIndex) -> str:
    """What no index may have; empty if there is nothing of it."""
    classes = range(1, index.num_classes + 1)
    for sample in index.samples:
        if not set(sample.tags) <= set(classes):
            return f"tags {sample.tags}"
        if not (math.isfinite(sample.depth_unit) and sample.depth_unit > 0):
            return f"depth unit {sample.depth_unit}"
        if not all(layer.path.is_file() and layer.class_index in classes for layer in sample.truth):
            return f"ground truth {sample.truth}"
    return ""


def try_images(root: Path, row: Row, trials: int, rng: np.random.Generator) -> None:
    """Mutated images, depth maps and masks. JPEG has no checksum, so that some damage to it cannot be known."""
    index = read_bop(root, SPLITS)
    for _ in range(trials):
        sample = index.samples[int(rng.integers(len(index.samples)))]
        size = read_image(sample.image).shape[:2]
        layer = sample.truth[int(rng.integers(len(sample.truth)))]
        path, read = (
            (sample.image, lambda sample: read_image(sample.image)),
            (sample.depth, read_depth),
            (layer.path, lambda sample: read_truth(sample, index.num_classes)),
        )[int(rng.integers(3))]
        sample = replace(sample, size=size, truth=(layer,))
        good, content = read(sample), path.read_bytes()
        damaged = mutated_bytes(content, rng)
        path.write_bytes(damaged)
        try:
            found = read(sample)
        except Exception as error:  # what kind of error it is, is the question
            row.add(*_told(error, path))
        else:
            is_known = path.suffix == ".png" or found.dtype != good.dtype
            is_wrong = is_known and not (found.shape == good.shape and np.array_equal(found, good, equal_nan=True))
            row.add(Outcome.WRONG if is_wrong else Outcome.HARMLESS, f"{path}: other values, file in {_kept(path)}")
        path.write_bytes(content)


def _kept(path: Path) -> Path:
    """A copy of a damaged file, for whoever looks into a failure."""
    return Path(shutil.copyfile(path, path.with_name(f"{path.stem}-failed.bin")))


def try_archives(folder: Path, row: Row, trials: int, rng: np.random.Generator) -> None:
    """Damaged archives. A plain tar file has no checksum of its contents; in it, only the sizes can be known."""
    files = {f"set/{number}.bin": rng.bytes(int(rng.integers(3000))) for number in range(6)}
    source = folder / "source"
    for name, content in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    for trial in range(trials):
        ending = ("zip", "tgz", "tar.xz", "tar")[trial % 4]
        path, target = folder / f"archive.{ending}", folder / "unpacked"
        if ending == "zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
                for name in files:
                    packed.write(source / name, name)
        else:
            with tarfile.open(path, {"tgz": "w:gz", "tar.xz": "w:xz", "tar": "w"}[ending]) as packed:
                packed.add(source / "set", "set")
        path.write_bytes(mutated_bytes(path.read_bytes(), rng))
        try:
            unpack(path, target)
            found = sorted(item.read_bytes() for item in target.rglob("*") if item.is_file())
            is_same = found == sorted(files.values())
            is_known = ending != "tar" or sorted(map(len, found)) != sorted(map(len, files.values()))
            row.add(Outcome.WRONG if is_known and not is_same else Outcome.HARMLESS, f"{path}: other files")
        except Exception as error:  # what kind of error it is, is the question
            left = [item for item in target.rglob("*") if item.is_file()]
            row.add(*((Outcome.WRONG, f"{path}: refused, but {left} are there") if left else _told(error, path)))
        shutil.rmtree(target, ignore_errors=True)


def try_commands(line: CommandLineHere, row: Row, trials: int, folder: Path, rng: np.random.Generator) -> None:
    """Odd command lines, without earlier artifacts: exit code other than 0, no traceback, one line with what is odd."""
    prepare(folder)
    line = copy.copy(line)
    line.artifacts = folder.with_name("artifacts-of-odd-commands")
    for place in sorted(rng.permutation(len(COMMANDS))[:trials]):
        command = COMMANDS[place]
        task, arguments, words = command.filled(folder)
        as_a_new_process()
        before = signal.signal(signal.SIGALRM, _give_up)
        signal.alarm(LONGEST_COMMAND)
        try:
            result = line.luigi(task, *arguments) if command.with_data else line.plain(task, *arguments)
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
        what, text = " ".join(result.args), f"{result.stderr}\n{result.returncode}"  # luigi ends with a text, too
        if result.returncode in (0, None):
            row.add(Outcome.WRONG, f"{what}: exit code {result.returncode}")
        elif "Traceback" in text:
            row.add(Outcome.TRACEBACK, f"{what}: {text[-1500:]}")
        elif not any(all(word in told for word in words) for told in text.splitlines()):
            row.add(Outcome.TRACEBACK, f"{what}: no line has {words}: {text[-1500:]}")
        else:
            row.add(Outcome.NOTICED)


def _give_up(number: int, frame: Any) -> None:
    raise TimeoutError(f"no end after {LONGEST_COMMAND} seconds")


def try_cache_of_hashes(run: FinishedRun, row: Row, trials: int, rng: np.random.Generator) -> None:
    """Damage the cache of content hashes: the next command finds the same identities, at the cost of time."""
    path = run.line.artifacts / run.report.dataset / ".hashes.json"
    content = path.read_bytes()
    good = [stage.identity for stage in run.stages]
    for trial in range(trials):
        path.write_bytes(content)
        what = (spoil if trial % 5 == 4 else flip_bit)(path, rng)
        as_a_new_process()
        _try_cache(row, path, what, lambda: _identities(run) == good)
    path.write_bytes(content)
    run.renew()


def _identities(run: FinishedRun) -> list[str]:
    return [stage.identity for stage in stages(task_of("WriteReport", run.line.flags()))]


def try_cache_of_tags(folder: Path, row: Row, trials: int, rng: np.random.Generator) -> None:
    """Damage the cache of tags of a set of label maps: the same tags are found."""
    for name in ("images", "labels"):
        (folder / "set/train" / name).mkdir(parents=True)
    for number in range(4):
        labels = np.full((8, 8), number, np.uint8)
        Image.fromarray(labels).save(folder / f"set/train/labels/{number}.png")
        Image.fromarray(labels).save(folder / f"set/train/images/{number}.png")
    path = folder / ".tags.json"

    def index() -> DatasetIndex:
        tags = RememberedTags(path)
        found = read_masks(folder / "set", {TRAIN: "train"}, tags, ("a", "b", "c", "d"))
        tags.save()
        return found

    good, content = index(), path.read_bytes()
    for trial in range(trials):
        path.write_bytes(content)
        what = (spoil if trial % 5 == 4 else flip_bit)(path, rng)
        _try_cache(row, path, what, lambda: index() == good)


def _try_cache(row: Row, path: Path, what: str, is_good: Callable[[], bool]) -> None:
    try:
        with no_log():
            same = is_good()
    except Exception as error:  # what kind of error it is, is the question
        row.add(*outcome_of_error(error, [path]))
        return
    row.add(Outcome.NOTICED if same else Outcome.WRONG, f"{what}: other results")


def try_records(run: FinishedRun, row: Row, trials: int, rng: np.random.Generator) -> None:
    """Damage records of runs (seconds, memory, versions): ``status`` shows them as they are, or as if there is none."""
    folder = run.line.artifacts / run.report.dataset / ".runs"
    files = sorted(folder.iterdir())
    for trial in range(trials):
        path = files[int(rng.integers(len(files)))]
        content = path.read_bytes()
        what = (spoil if trial % 5 == 4 else flip_bit)(path, rng)
        run.renew()
        try:
            shown = status_table(run.report)
            path.unlink(missing_ok=True)
            is_noticed = shown == status_table(run.report)
            outcome = Outcome.NOTICED if is_noticed else Outcome.HARMLESS if shown == run.status else Outcome.WRONG
            reason = "another time is shown"
        except Exception as error:  # what kind of error it is, is the question
            outcome, reason = outcome_of_error(error, [path])
        row.add(outcome, f"{what}: {reason}")
        path.write_bytes(content)


def _told(error: Exception, *names: Any) -> tuple[Outcome, str]:
    outcome, reason = outcome_of_error(error, names)
    return outcome, f"{names[0]}: {reason}"
