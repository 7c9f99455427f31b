"""Faults in what an interrupted run leaves: checkpoints, shards without a marker, notes. And kill -9 at any time."""

from __future__ import annotations

import copy
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from faults.damage import flip_bit, spoil
from faults.finished_run import FinishedRun, no_log
from faults.tally import Outcome, Row, outcome_of_error
from support import CommandLine, contents

from data.errors import StoreError
from data.store.sharded import ShardedStore
from pipeline.asked import task_of
from tasks import evaluate_masks
from tasks.runtime import training_loop
from tasks.runtime.checkpoint import resume
from tasks.runtime.stage import StageTask


@contextmanager
def interrupted_after(target: Any, name: str, calls: int = 1) -> Iterator[list[tuple]]:
    """Within it, a function raises an error after some calls: the end of the run. Yields the arguments of the calls."""
    original, seen = getattr(target, name), []

    def wrapped(*arguments):
        result = original(*arguments)
        seen.append(arguments)
        if len(seen) >= calls:
            raise StoreError("interrupted")
        return result

    with mock.patch.object(target, name, wrapped):
        yield seen


def leave_half(run: FinishedRun, stage: StageTask) -> list[tuple]:
    """Delete the artifact of a stage and run it until its first checkpoint or shard. Returns what was written last."""
    shutil.rmtree(stage.artifact.path)
    run.renew()
    store = issubclass(stage.artifact_type, ShardedStore)
    place = (ShardedStore, "write_shard") if store else (training_loop, "save_checkpoint")
    with interrupted_after(*place) as seen:
        result = run.line.luigi(type(stage).__name__, "--processes", 1)
    assert result.returncode == 30, result.stderr
    assert "Traceback" not in result.stderr, result.stderr
    return seen


def try_checkpoints(run: FinishedRun, row: Row, stage: StageTask, trials: int, healings: int, rng) -> None:
    """Damage the checkpoint of an interrupted training, and resume from it."""
    _, modules, optimizer, _ = leave_half(run, stage)[0]
    half = _copied(stage.artifact.path)
    path = stage.artifact.path / training_loop.CHECKPOINT
    content = path.read_bytes()

    def state() -> list:
        parts = [*(module.state_dict() for module in modules.values()), optimizer.state_dict()]
        return [_plain(part) for part in parts]

    with no_log():
        history = resume(path, modules, optimizer)
        good = copy.deepcopy(state())
        for trial in range(trials):
            path.write_bytes(content)
            what = (spoil if trial % 5 == 4 else flip_bit)(path, rng)
            try:
                found = resume(path, modules, optimizer)
            except Exception as error:  # what kind of error it is, is the question
                outcome, reason = outcome_of_error(error, [path])
            else:
                is_same = found == history and state() == good
                outcome, reason = (Outcome.HARMLESS, "") if is_same else (Outcome.WRONG, "other weights are resumed")
                if not found:
                    outcome = Outcome.NOTICED
            row.add(outcome, f"{what}: {reason}")
    for trial in range(healings):
        _restore(half, stage.artifact.path)
        heal_half(run, row, stage, (spoil if trial % 5 == 4 else flip_bit)(path, rng))
    shutil.rmtree(half)
    run.restore()


def try_left_shards(run: FinishedRun, row: Row, stage: StageTask, trials: int, rng) -> None:
    """Damage any file that an interrupted stage over images has left, and run the stage again."""
    leave_half(run, stage)
    half = _copied(stage.artifact.path)
    for trial in range(trials):
        files = sorted(path for path in stage.artifact.path.rglob("*") if path.is_file())
        path = files[int(rng.integers(len(files)))]
        what = (spoil if trial % 3 == 2 else flip_bit)(path, rng)
        before = row.healed
        heal_half(run, row, stage, what)
        if row.healed > before:
            row.add(Outcome.NOTICED)
        _restore(half, stage.artifact.path)
    shutil.rmtree(half)
    run.restore()


def heal_half(run: FinishedRun, row: Row, stage: StageTask, what: str) -> None:
    """Run an interrupted stage to its end. Then every byte must be as in the undisturbed run."""
    run.renew()
    result = run.line.luigi(type(stage).__name__, "--processes", 1)
    if result.returncode != 0:
        return row.add_healing(f"{what}: exit code {result.returncode}: {result.stderr}", is_traceback=True)
    differing = run.differences()
    return row.add_healing(differing and f"{what}: {differing} differ")


def try_kills(
    line: CommandLine, expected: dict[str, bytes], row: Row, trials: int, folder: Path, rng: np.random.Generator
) -> None:
    """kill -9 at random times, some in a row on the same artifacts; at last the run must end with the same bytes."""
    start, remaining, round_ = time.monotonic(), trials, 0
    line.artifacts = folder / "undisturbed"
    result = line.luigi("RunAll", "--processes", 1)
    assert result.returncode == 0, result.stderr
    seconds = time.monotonic() - start
    while remaining:
        line.artifacts = folder / f"killed-{round_}"
        kills = min(remaining, int(rng.integers(2, 6)))
        ends = []
        for _ in range(kills):
            process = line.start("RunAll", "--processes", 1 + int(rng.integers(2)))
            delay = float(rng.uniform(0.2, 0.8)) * seconds
            try:
                process.communicate(timeout=delay)
            except Exception:  # it still runs, as it should
                process.send_signal(signal.SIGKILL)
                process.communicate()
            ends.append(f"{delay:.1f} s: {process.returncode}")
        result = line.luigi("RunAll", "--processes", 1)
        found = contents(line.artifacts)
        differing = sorted(name for name in expected.keys() | found.keys() if found.get(name) != expected.get(name))
        what = f"killed after {', '.join(ends)}"
        problem = result.stderr if result.returncode else f"{differing} differ" if differing else ""
        for _ in range(kills):
            row.add(Outcome.WRONG if differing else Outcome.NOTICED, f"{what}: {problem}")
        row.add_healing(problem and f"{what}: {problem}", "Traceback" in problem)
        remaining, round_ = remaining - kills, round_ + 1
        shutil.rmtree(line.artifacts, ignore_errors=True)  # a worker of a killed run may still end


def try_changed_inputs(run: FinishedRun, row: Row, trials: int, rng: np.random.Generator) -> None:
    """Change a file of the data set while a stage reads it, and restore it before the stage ends."""
    stages = {stage.label: stage for stage in run.stages}
    plans: list[tuple[str, str, Any, str]] = [
        ("LoadDepth", "*/*/depth/*.png", ShardedStore, "write_shard"),
        ("ExtractKeys", "train_pbr/*/rgb/*.jpg", ShardedStore, "write_shard"),
        ("TrainClassifier", "train_pbr/*/rgb/*.jpg", training_loop, "save_checkpoint"),
        ("EvaluateMasks", "test/*/mask_visib/*.png", evaluate_masks, "write_json"),
    ]
    for trial in range(trials):
        label, pattern, target, name = plans[trial % len(plans)]
        stage = stages[label]
        files = sorted(run.line.data_root.glob(pattern))
        path = files[int(rng.integers(len(files)))]
        shutil.rmtree(stage.artifact.path)
        run.renew()
        other = files[files.index(path) - 1] if trial // len(plans) % 2 else None
        with _touched_during(target, name, path, other):
            result = run.line.luigi(label, "--processes", 1)
        what = f"{path} {f'exchanged with {other}' if other else 'overwritten'} and restored during {label}"
        if result.returncode == 30 and f"{path}: was changed while it was read" in result.stderr:
            is_traceback = "Traceback" in result.stderr
            row.add(Outcome.TRACEBACK if is_traceback else Outcome.NOTICED, f"{what}: {result.stderr}")
        else:
            row.add(Outcome.WRONG, f"{what}: exit code {result.returncode}: {result.stderr[-500:]}")
        heal_half(run, row, stage, what)
        run.restore()


@contextmanager
def _touched_during(target: Any, name: str, path: Path, other: Path | None) -> Iterator[None]:
    """Within it, the first call of a function changes a file and restores it: same bytes, size and mtime.

    With `other`, the file is exchanged with that one, a legal file that may be read for a while. Otherwise it is
    overwritten in place, and may be read half-written.
    """
    original: Callable = getattr(target, name)
    content, stat, calls = path.read_bytes(), path.stat(), []

    def wrapped(*arguments):
        if not calls:
            if other:
                aside = path.with_name(f"{path.name}.aside")
                shutil.copyfile(other, aside)
                aside.replace(path)
                time.sleep(0.1)  # those who read ahead may read it
                aside.write_bytes(content)
                aside.replace(path)
            else:
                path.write_bytes(bytes(len(content)))
                path.write_bytes(content)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        calls.append(1)
        return original(*arguments)

    with mock.patch.object(target, name, wrapped):
        yield


def try_replaced_inputs(run: FinishedRun, row: Row, trials: int, rng: np.random.Generator) -> None:
    """Replace an input by another of the same size and modification time: the plan of the next run must differ."""
    files = sorted(path for name in ("rgb", "depth", "mask_visib") for path in run.line.data_root.glob(f"*/*/{name}/*"))
    for _ in range(trials):
        path = files[int(rng.integers(len(files)))]
        content, stat = path.read_bytes(), path.stat()
        place = int(rng.integers(len(content) // 2, len(content)))
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        run.renew()
        with no_log():
            planned = task_of("WriteReport", run.line.flags()).complete()
        row.add(Outcome.WRONG if planned else Outcome.NOTICED, f"{path} replaced: the plan does nothing")
        path.write_bytes(content)
    run.renew()


def _plain(value: Any) -> Any:
    """Nested values of tensors as values that can be compared."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.numpy().tobytes() if hasattr(value, "numpy") else value


def _copied(folder: Path) -> Path:
    return Path(shutil.copytree(folder, folder.parents[3] / f"half-{folder.name}"))


def _restore(half: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(half, folder)
