"""Faults in the files of a finished run: what the plan, the readers and ``verify`` say, and whether a run heals it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from faults.finished_run import FinishedRun, no_log
from faults.tally import Outcome, Row, outcome_of_error

from tasks.runtime.stage import StageTask

COORDINATES = ("image_id", "height", "width", "class_name")

Damage = Callable[[Path, np.random.Generator, Sequence[Path]], str]
"""(file, generator, files of the same kind) -> what was done; see `faults.damage`."""


def kind_of(name: str) -> str:
    """The kind of a file of an artifact, by its name below the artifacts: ``bop/LoadDepth/x.zarr/depth/c/0/0/0``."""
    parts = name.split("/")[3:]
    if parts[-1] == "zarr.json":
        return "zarr.json" if len(parts) == 1 else "zarr.json of an array"
    if "c" in parts:
        return "coordinate" if parts[0] in COORDINATES else "shard"
    return "grown seed" if parts[0] == "grown" else parts[-1]


def files_by_kind(run: FinishedRun) -> dict[str, list[Path]]:
    """Kind -> all files of this kind in the artifacts."""
    found: dict[str, list[Path]] = {}
    for stage in run.stages:
        for path in sorted(path for path in stage.artifact.path.rglob("*") if path.is_file()):
            found.setdefault(kind_of(path.relative_to(run.line.artifacts).as_posix()), []).append(path)
    return dict(sorted(found.items()))


def try_files(
    run: FinishedRun, row: Row, files: Sequence[Path], damage: Damage, trials: int, healings: int, rng
) -> None:
    """Damage files of one kind, one at a time, and count what comes of it. Every few trials, a run must mend it."""
    for trial in range(trials):
        path = files[int(rng.integers(len(files)))]
        same = [other for other in files if other.name == path.name and other != path]
        what = damage(path, rng, same)
        with no_log():
            outcome, reason = judge(run, path)
        row.add(outcome, f"{what}: {reason}")
        if trial * healings // trials != (trial + 1) * healings // trials and outcome != Outcome.HARMLESS:
            heal(run, row, run.stage_of(path), what, rng)
            run.restore()
        else:
            run.restore_file(path)


def judge(run: FinishedRun, path: Path) -> tuple[Outcome, str]:
    """What a new process makes of a damaged file: its plan, then the readers of its artifact, then ``verify``."""
    stage = run.stage_of(path)
    try:
        if not run.is_planned():
            return Outcome.NOTICED, "the plan computes it again"
        values = run.values_of(stage)
    except Exception as error:  # what kind of error it is, is the question
        return outcome_of_error(error, [stage.artifact.path])
    good = run.values[stage.identity]
    wrong = [name for name in good.keys() | values.keys() if values.get(name) != good.get(name)]
    if wrong:
        return Outcome.WRONG, f"other values of {', '.join(sorted(wrong))}"
    if run.verify():
        return Outcome.BY_VERIFY, ""
    return Outcome.HARMLESS, ""


def heal(run: FinishedRun, row: Row, stage: StageTask, what: str, rng: np.random.Generator) -> None:
    """Run the real commands until one ends well. Then every byte must be as before.

    The damage is found by the plan, by ``verify``, or by a stage that reads the artifact because its own was deleted.
    """
    run.renew()
    readers = [task for task in run.stages if stage in task.required.values() and task.label != "PredictMasks-train"]
    if readers and rng.integers(2):
        shutil.rmtree(readers[int(rng.integers(len(readers)))].artifact.path)
        if problem := ended_well(run, stage, most=3):
            return row.add_healing(f"{what}: {problem}", "Traceback" in problem)
    run.renew()
    result = run.line.inspect("verify")
    if result.returncode not in (0, 1) or "Traceback" in result.stderr:
        return row.add_healing(f"{what}: verify: {result.stderr}", is_traceback=True)
    problem = ended_well(run, stage, most=1)
    if not problem and (differing := run.differences()):
        problem = f"after the healing, {differing} differ"
    run.renew()
    if not problem and (damaged := run.verify()):
        problem = f"after the healing, verify names {damaged}"
    return row.add_healing(problem and f"{what}: {problem}", "Traceback" in problem)


def ended_well(run: FinishedRun, stage: StageTask, most: int) -> str:
    """Run RunAll until it ends with 0, at most `most` times. Returns what was wrong; failed runs name the artifact."""
    for _ in range(most):
        run.renew()
        result = run.line.luigi("RunAll", "--processes", 1)
        if "Traceback" in result.stderr:
            return result.stderr
        if result.returncode == 0:
            return ""
        if str(stage.artifact.path) not in result.stderr:
            return f"exit code {result.returncode}, and no line names {stage.artifact.path}: {result.stderr}"
    return f"still exit code {result.returncode} after {most} runs: {result.stderr}"


def exchange_artifacts(run: FinishedRun, row: Row, trials: int, healings: int, rng: np.random.Generator) -> None:
    """Copy a whole artifact over another one: of the same stage where there are two, else of another stage."""
    for trial in range(trials):
        stage = run.stages[int(rng.integers(len(run.stages)))]
        others = [task for task in run.stages if task.artifact.suffix == stage.artifact.suffix and task is not stage]
        twins = [task for task in others if type(task) is type(stage)]
        other = (twins or others)[int(rng.integers(len(twins or others)))]
        shutil.rmtree(stage.artifact.path)
        shutil.copytree(other.artifact.path, stage.artifact.path)
        what = f"{stage.artifact.path} is a copy of {other.artifact.path}"
        with no_log():
            planned = run.is_planned()
        row.add(*((Outcome.WRONG, f"{what}: the plan accepts it") if planned else (Outcome.NOTICED, what)))
        if trial < healings:
            heal(run, row, stage, what, rng)
        run.restore()


def reopen_damaged(run: FinishedRun, row: Row, trials: int, rng: np.random.Generator) -> None:
    """Damage a file of an artifact that is opened again for another reason: one of its other files is missing.

    Both are done by the same disk at the same time, so that the run which computes the missing file meets the damage.
    """
    stages = [stage for stage in run.stages if len(list(stage.artifact.path.rglob("*"))) > 10]
    for _ in range(trials):
        stage = stages[int(rng.integers(len(stages)))]
        files = [path for path in stage.artifact.path.rglob("*") if path.is_file() and path.name != "COMPLETE.json"]
        first, second = (files[int(place)] for place in rng.choice(len(files), 2, replace=False))
        first.unlink()
        content = second.read_bytes()
        kind = int(rng.integers(3))
        damaged = bytearray(content)
        damaged[int(rng.integers(len(damaged)))] ^= 1 << int(rng.integers(8))
        second.write_bytes((bytes(damaged), content[:20], content[: len(content) // 2])[kind])
        what = f"{first} deleted, {second} damaged"
        row.add(Outcome.WRONG if run.is_planned() else Outcome.NOTICED, f"{what}: the plan accepts it")
        problem = ended_well(run, stage, most=1) or ", ".join(run.differences())
        run.renew()
        problem = problem or ", ".join(map(str, run.verify()))
        row.add_healing(problem and f"{what}: {problem}", "Traceback" in problem)
        run.restore()
