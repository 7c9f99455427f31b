"""What a run would do: which stages would be computed, why, and how long this takes by the records of earlier runs.

An artifact says in ``stage.json`` what it was made from. The nearest artifact of a stage is the one from which what is
asked for differs in the fewest points: these points are the reasons.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from data.errors import StoreError
from data.store.artifact import MARKER
from data.store.sharded import ShardedStore
from tasks.runtime.dag import stages, state
from tasks.runtime.record import read_record
from tasks.runtime.stage import STAGE_FILE, StageTask

DONE = "done"
"""State of a stage that would not run."""

REASONS = 4
"""Reasons that are shown; the others are counted."""


class Made(NamedTuple):
    """What an artifact is made from, as its ``stage.json`` says.

    Attributes
    ----------
    label : str
        Name of the stage in logs and tables.
    version : int
    parameters : dict
        Name -> value, as JSON has it.
    contents : dict
        Name of an input that no stage writes -> hash.
    inputs : dict
        Name of an input that a stage writes -> identity of this stage.
    path : Path
        The artifact.
    """

    label: str
    version: object
    parameters: Mapping[str, object]
    contents: Mapping[str, str]
    inputs: Mapping[str, str]
    path: Path

    @classmethod
    def of(cls, described: Mapping, path: Path) -> Made:
        """From the content of ``stage.json``, or from `StageTask.description`."""
        inputs = dict(name.rsplit(" ", 1) for name in described["parents"])
        return cls(
            described["stage"], described["version"], described["parameters"], described["contents"], inputs, path
        )


def read_made(path: Path) -> Made | None:
    """What the artifact in a folder is made from; None if the folder is no artifact or its description is damaged."""
    try:
        return Made.of(json.loads((path / STAGE_FILE).read_bytes()), path)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def differences(wanted: Made, found: Made) -> list[str]:
    """How what is wanted differs from what was found: ``deal_weight 2 -> 1``, ``input cams is new``."""
    lines = [] if wanted.version == found.version else [f"version {found.version} -> {wanted.version}"]
    names = dict.fromkeys([*wanted.parameters, *found.parameters])
    for name in names:
        before, after = (_text(made.parameters, name) for made in (found, wanted))
        lines += [] if before == after else [f"{name} {before} -> {after}"]
    for name in dict.fromkeys([*wanted.contents, *found.contents]):
        if wanted.contents.get(name) != found.contents.get(name):
            lines.append(f"the files of '{name}' have changed")
    for name, identity in wanted.inputs.items():
        if found.inputs.get(name) != identity:
            lines.append(f"input {name} is new")
    return lines + [f"input {name} is not used any more" for name in found.inputs if name not in wanted.inputs]


def _text(parameters: Mapping[str, object], name: str) -> str:
    """A value as the command line has it; a parameter that does not matter there has none."""
    if name not in parameters:
        return "(not used)"
    value = parameters[name]
    if isinstance(value, list):
        return ",".join(map(str, value)) or "(empty)"
    return str(value) or "(empty)"


def nearest(wanted: Made, found: Iterable[Made]) -> Made | None:
    """The artifact with the fewest differences, the newest of them; None if there is none of this stage.

    A different parameter counts before a new input: that follows from a difference further up.
    """
    same = [made for made in found if made.label == wanted.label and made.path != wanted.path]
    if not same:
        return None

    def distance(made: Made) -> tuple[int, int, float]:
        lines = differences(wanted, made)
        own = sum(not line.startswith("input ") for line in lines)
        return own, len(lines), -_written(made.path)

    return min(same, key=distance)


def _written(path: Path) -> float:
    try:
        return (path / STAGE_FILE).stat().st_mtime
    except OSError:
        return 0.0


@dataclass(frozen=True)
class Step:
    """A stage that would run.

    Attributes
    ----------
    label : str
    state : str
        ``missing``, ``partial 3/15``, ``stale`` or ``damaged``.
    reasons : list of str
        Why, the more telling first.
    seconds : float or None
        How long it takes; None if no run of it was recorded.
    """

    label: str
    state: str
    reasons: list[str]
    seconds: float | None

    @property
    def why(self) -> str:
        """The reasons as one line."""
        more = len(self.reasons) - REASONS
        return "; ".join(self.reasons[:REASONS]) + (f"; and {more} more" if more > 0 else "")


def plan(task: StageTask) -> tuple[list[Step], int]:
    """The stages that a run would compute, in an order in which they can run, and the number of those that are done.

    Parameters
    ----------
    task : StageTask
        The stage that is asked for. Stages that write nothing are left out.
    """
    steps, done = [], 0
    known: dict[Path, list[Made]] = {}  # of each folder, for the many stages of an Ablation
    for stage in stages(task):
        if not stage.output():
            continue
        now = state(stage)
        if now == DONE:
            done += 1
            continue
        folder = stage.artifact.path.parent
        if folder not in known:
            known[folder] = [made for path in sorted(folder.glob("*")) if (made := read_made(path))]
        steps.append(_step(stage, now, known[folder]))
    return steps, done


def _step(stage: StageTask, now: str, found: list[Made]) -> Step:
    wanted = Made.of(stage.description(), stage.artifact.path)
    near = nearest(wanted, found)
    if now == "stale":
        reasons = stale_reasons(stage)
    elif now.startswith("partial"):
        reasons = ["an interrupted run has left a part; it is continued"]
    elif now == "damaged":
        reasons = ["its metadata cannot be read; what is damaged is computed again"]
    elif near is None:
        reasons = ["there is no artifact of it yet"]
    else:
        reasons = differences(wanted, near) or [f"{near.path.name} is the same under another name"]
    share = missing_share(stage) if now.startswith("partial") else 1.0
    return Step(stage.label, now, reasons, expected_seconds(stage, near, share))


def stale_reasons(stage: StageTask) -> list[str]:
    """Why the artifact of a stage is complete and yet not current."""
    marker = stage.artifact.marker
    if marker is None or marker.identity != stage.identity:
        return ["the artifact was copied from another one"]
    if not stage.required:
        return ["the files of the data set are not as when this was made"]
    reasons = []
    for name, digest in stage.description()["parents"].items():
        source = name.rsplit(" ", 1)[0]
        if digest is None:
            reasons.append(f"input {source} is computed again; kept if that gives the same bytes")
        elif marker.parents.get(name) != digest:
            reasons.append(f"input {source} has other content than when this was made")
    return reasons or ["a stage further up is computed again; kept if that gives the same bytes"]


def missing_share(stage: StageTask) -> float:
    """The share of the shards that an interrupted run has not written; 1 for everything that has no shards."""
    artifact = stage.artifact
    if not isinstance(artifact, ShardedStore) or not (artifact.path / "zarr.json").exists():
        return 1.0
    return len(artifact.missing_shards()) / max(artifact.num_shards(), 1) or 1.0


def expected_seconds(stage: StageTask, near: Made | None, share: float = 1.0) -> float | None:
    """Seconds that a stage takes, by the record of the same artifact, of the nearest one, or of any of its stage.

    Parameters
    ----------
    stage : StageTask
    near : Made or None
        The nearest artifact.
    share : float
        Share of the images that is left to do.
    """
    runs, name = stage.record_path.parent, type(stage).__name__
    records = [(stage.record(), stage.artifact.path)]
    if near is not None:
        identity = near.path.name.removesuffix(ShardedStore.suffix)
        records.append((read_record(runs / f"{name}-{identity}.json"), near.path))
    for record, path in records:
        if record.get("seconds") is not None:
            return share * whole_seconds(record, _images(path))
    others = [read_record(path) for path in runs.glob(f"{name}-*.json")]
    known = [record["seconds"] for record in others if record.get("seconds") is not None]
    return share * statistics.median(known) if known else None


def whole_seconds(record: Mapping, images: int) -> float:
    """Seconds of a whole run: a run that continued an interrupted one has recorded its own images alone.

    Examples
    --------
    >>> whole_seconds({"seconds": 4.0, "images": 20}, 100), whole_seconds({"seconds": 4.0, "images": 20}, 0)
    (20.0, 4.0)
    """
    done = record.get("images") or 0
    return record["seconds"] * (max(1.0, images / done) if done else 1.0)


def _images(path: Path) -> int:
    """Images of an array artifact; 0 for another one."""
    if path.suffix != ShardedStore.suffix or not (path / MARKER).exists():
        return 0
    try:
        return ShardedStore(path).num_images()
    except (StoreError, OSError, KeyError, ValueError):
        return 0


def total_seconds(steps: Collection[Step]) -> tuple[float, int]:
    """Sum of the known seconds, and the number of steps whose seconds are not known."""
    known = [step.seconds for step in steps if step.seconds is not None]
    return sum(known), len(steps) - len(known)
