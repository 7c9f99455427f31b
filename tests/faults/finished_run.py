"""A finished RunAll that faults are put into: its stages, the values that they serve, and its bytes."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from support import CommandLineHere, contents

from data.sample import Sample
from data.store import artifact as artifact_module
from data.store.sharded import ShardedStore
from pipeline.asked import task_of
from pipeline.inspection import artifact_report, status_table
from tasks.evaluate_masks import EvaluateMasks
from tasks.index_dataset import IndexDataset
from tasks.runtime.dag import stages
from tasks.runtime.luigi_seam import forget_instances
from tasks.runtime.quality import warnings_of
from tasks.runtime.stage import StageTask
from tasks.runtime.trained_model import HISTORY, TrainedArtifact
from tasks.train_segmenter import TrainSegmenter

CPU = torch.device("cpu")


def as_a_new_process() -> None:
    """Forget all that this process knows of artifacts and tasks."""
    for remembered in (artifact_module._CHECKED, artifact_module._RECORDED, artifact_module._SOUND):
        remembered.clear()
    forget_instances()


@contextmanager
def no_log() -> Iterator[None]:
    """Without log lines, where thousands of trials would write them."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class FinishedRun:
    """A finished RunAll in the folder of a command line.

    Parameters
    ----------
    line : CommandLineHere
        Its artifacts are damaged and restored.
    spare : Path
        Folder for a copy of the artifacts; it must not exist.
    """

    def __init__(self, line: CommandLineHere, spare: Path):
        self.line, self.spare = line, spare
        shutil.copytree(line.artifacts, spare)
        as_a_new_process()
        self.report = task_of("WriteReport", line.flags())
        self.stages: list[StageTask] = stages(self.report)
        self.index = self.stages[0].open()
        self.good = contents(line.artifacts)
        self.values = {stage.identity: self.values_of(stage) for stage in self.stages}
        self.status = status_table(self.report)

    def path(self, name: str) -> Path:
        """A file of the artifacts, by its name in `contents`."""
        return self.line.artifacts / name

    def stage_of(self, path: Path) -> StageTask:
        """The stage that has written a file."""
        return next(stage for stage in self.stages if path.is_relative_to(stage.artifact.path))

    def renew(self) -> None:
        """From now on, nothing is remembered of what was read: the stages read again, as those of a new process."""
        as_a_new_process()
        for stage in self.stages:
            for name in ("artifact", "_written"):
                stage.__dict__.pop(name, None)

    def is_planned(self) -> bool:
        """True if the plan of a new run would do nothing."""
        self.renew()
        return self.report.complete()

    def restore(self) -> None:
        """The artifacts as the undisturbed run has left them."""
        shutil.rmtree(self.line.artifacts)
        shutil.copytree(self.spare, self.line.artifacts)
        self.renew()

    def restore_file(self, path: Path) -> None:
        """One file as the undisturbed run has left it."""
        shutil.copyfile(self.spare / path.relative_to(self.line.artifacts), path)

    def differences(self) -> list[str]:
        """Names of the files that differ from those of the undisturbed run, that are missing, or that are new."""
        found = contents(self.line.artifacts)
        return sorted(name for name in found.keys() | self.good.keys() if found.get(name) != self.good.get(name))

    def values_of(self, stage: StageTask) -> dict[str, Any]:
        """All that the stages downstream and ``python -m pipeline show`` read of an artifact."""
        artifact = stage.artifact
        found: dict[str, Any] = {}
        if isinstance(artifact, ShardedStore):
            found |= self._arrays(artifact, self.index.split(cast(Any, stage).split))
        if isinstance(artifact, TrainedArtifact):
            model = artifact.load(CPU)
            found |= {name: _frozen(value.numpy()) for name, value in model.network.state_dict().items()}
            found["model"] = repr(model[1:])
            found["history"] = artifact.read(HISTORY)
        if isinstance(stage, IndexDataset):
            found["index"] = repr(stage.open())
        if isinstance(stage, EvaluateMasks):
            found["scores"] = stage.read()
        if isinstance(stage, TrainSegmenter):
            found |= {
                f"grown {index}": [_frozen(seed) for seed in stage.grown_seeds(index)]
                for index in stage.watched_images()
            }
        found["warnings"] = warnings_of(artifact)
        found["show"] = artifact_report(artifact.path)
        return found

    @staticmethod
    def _arrays(store: ShardedStore, samples: Sequence[Sample]) -> dict[str, Any]:
        found: dict[str, Any] = {"ids": store.image_ids, "attrs": repr(store.attrs), "shards": store.shard_size}
        for name in ("height", "width", "class_name"):
            found[name] = _frozen(np.asarray(store.array(name)[:]).astype(str))
        for name in store.array_names():
            found[name] = [_frozen(store.read_image(name, index, sample.size)) for index, sample in enumerate(samples)]
        return found

    def verify(self) -> list[Path]:
        """Files that ``python -m pipeline verify`` would call damaged; none is removed."""
        return [path for stage in self.stages for path in stage.artifact.damaged_files()]


def _frozen(values: np.ndarray) -> tuple:
    """An array as a value that can be compared; NaN is equal to NaN."""
    return values.shape, str(values.dtype), values.tobytes()
