"""The stages that a task needs, and the state of each stage."""

from __future__ import annotations

from data.errors import DamagedArtifactError
from data.store.sharded import ShardedStore
from tasks.runtime.stage import StageTask


def stages(task: StageTask) -> list[StageTask]:
    """The stages that `task` needs and the task itself. Each appears once, in an order in which they can run."""
    ordered: dict[str, StageTask] = {}

    def visit(stage: StageTask) -> None:
        key = f"{stage.label}-{stage.identity}"
        if key not in ordered:
            for required in stage.required.values():
                visit(required)
            ordered[key] = stage

    visit(task)
    return list(ordered.values())


def state(stage: StageTask) -> str:
    """The state of the artifact of a stage.

    ``done``, ``stale`` (an artifact upstream is missing or has changed), ``partial 3/15`` shards, ``missing``, or
    ``damaged`` (its metadata cannot be read; the next run computes it again).
    """
    artifact = stage.artifact
    if stage.complete():
        return "done"
    if artifact.is_complete():
        return "stale"
    if not artifact.path.exists():
        return "missing"
    if isinstance(artifact, ShardedStore) and (artifact.path / "zarr.json").exists():
        try:
            total = artifact.num_shards()
        except DamagedArtifactError:
            return "damaged"
        return f"partial {total - len(artifact.missing_shards())}/{total}"
    return "partial"
