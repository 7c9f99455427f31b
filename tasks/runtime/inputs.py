"""What a stage reads, by name, and how luigi sees its output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import luigi

from data.store.artifact import Artifact

if TYPE_CHECKING:
    from tasks.runtime.stage import StageTask


class Inputs(Mapping):
    """The inputs of a stage by name. An input is opened when it is used."""

    def __init__(self, required: Mapping[str, StageTask]):
        self.required = required

    def __getitem__(self, name: str) -> Any:
        return self.required[name].open()

    def __iter__(self):
        return iter(self.required)

    def __len__(self):
        return len(self.required)


class ArtifactTarget(luigi.Target):
    def __init__(self, artifact: Artifact):
        self.artifact = artifact

    def exists(self) -> bool:
        return self.artifact.is_complete()
