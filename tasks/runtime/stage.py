"""The base of all stages: what they read, their identity, completeness, resume and error lines.

A stage file states its parameters, what it requires, and what it computes; nothing of this.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import luigi

from data.errors import DamagedArtifactError, SettingError, StoreError
from data.readers import DATASETS
from data.store.artifact import Artifact, hash_text, write_json
from data.store.sharded import ShardedStore
from tasks.methods import METHODS
from tasks.presets import PROFILES, preset_of
from tasks.runtime.lock import artifact_lock
from tasks.runtime.luigi_seam import is_set, registered_tasks
from tasks.runtime.memory import reset_peak_memory
from tasks.runtime.parameters import matters, nearest, one_of
from tasks.runtime.progress import track
from tasks.runtime.record import read_record, write_record

log = logging.getLogger("depthseed")

STAGE_FILE = "stage.json"
"""In every artifact: stage, version, parameters and the digests of the artifacts that it was made from."""

COMMON = ("dataset", "data_root", "artifacts", "profile", "method", "settings", "seed", "processes", "dask", "device")
"""Parameters that every stage hands to the stages that it requires."""


class SettingsParameter(luigi.DictParameter):
    """JSON of stage -> parameter -> value, checked: ``{"TrainClassifier": {"deal_weight": 0.2}}``."""

    def parse(self, text: str):
        try:
            return super().parse(text)
        except ValueError as error:
            raise SettingError(
                f"settings '{text}' is not valid JSON ({error}); write "
                '{"Stage": {"parameter": value}} between single quotes'
            ) from None

    def normalize(self, value):
        settings = super().normalize(value)
        for family, values in settings.items():
            if not isinstance(values, Mapping):
                raise SettingError(f'settings of {family} must be a table, {{"{family}": {{"parameter": value}}}}')
            known = dict(_stage_named(family).get_params())
            for name in values:
                if name not in known or name in COMMON:
                    raise SettingError(f"stage {family} has no parameter '{name}'{nearest(name, known)}")
        return settings


S = TypeVar("S", bound="StageTask")

Stages = dict[str, "StageTask"]
"""What `StageTask.requires` returns."""


class StageTask(luigi.Task):
    """Base of all stages.

    A subclass sets `version` (raise it when the same parameters give other results), declares its parameters,
    ``requires()``, which returns ``{name: stage}``, and ``work()``, which reads ``self.inputs[name]`` and writes into
    ``self.artifact``. `tasks.runtime.image_stage.ImageStage` has a ``work()`` for stages over images. Parameters that
    do not change the result are declared with ``significant=False``; those that matter only beside certain values of
    others are declared by `tasks.runtime.parameters`.
    """

    version = 1
    artifact_type: type[Artifact] = ShardedStore
    """What the stage writes: arrays over images, or any files."""

    dataset = luigi.Parameter(default="demo", description=f"data set: {', '.join(sorted(DATASETS))}")
    data_root = luigi.Parameter(
        default="", description="folder of the data set; the demo has its own", significant=False
    )
    artifacts = luigi.Parameter(default="artifacts", description="folder for all results", significant=False)
    profile = luigi.ChoiceParameter(
        default="small", choices=sorted(PROFILES), description="preset of parameters", significant=False
    )
    method = one_of(METHODS, "superpixel", "how the segmentation network learns")
    settings = SettingsParameter(
        default={}, description='JSON that wins over luigi.cfg for single stages: {"Stage": {"parameter": value}}'
    )
    seed = luigi.IntParameter(default=0, description="seed of everything random")
    processes = luigi.IntParameter(
        default=0, description="processes of the CPU stages, 0 = all cores", significant=False
    )
    dask = luigi.Parameter(
        default="", description="Dask scheduler for the CPU stages: its address, or slurm ([slurm])", significant=False
    )
    device = luigi.Parameter(default="auto", description="torch device; auto = cuda if there is one", significant=False)

    @property
    def uses_seed(self) -> bool:
        """True for the stages whose result depends on `seed`."""
        return False

    @classmethod
    def get_param_values(cls, params, args, kwargs):
        """Luigi's resolution, with the profile between luigi.cfg and the default in the code, and `settings` above."""
        values = dict(super().get_param_values(params, args, kwargs))
        if "method" not in kwargs and not is_set(dict(params)["method"], cls.get_task_family(), "method"):
            values["method"] = PROFILES[values["profile"]].method
        preset = preset_of(cls.__name__, values["profile"], values["method"])
        settings = values["settings"].get(cls.__name__, {})
        for name, param in params:
            if name in kwargs:
                continue
            if name in settings:
                values[name] = _parsed(param, settings[name])
            elif name in preset and not is_set(param, cls.get_task_family(), name):
                values[name] = preset[name]
        return [(name, values[name]) for name, _ in params]

    # What it reads

    def requires(self) -> Stages:
        """The stages that this one reads, by the name that it uses for each."""
        return {}

    def upstream(self, stage: type[S], **parameters) -> S:
        """A stage to require, with the same common parameters (never with equal-named parameters of this stage)."""
        return stage(**{**{name: getattr(self, name) for name in COMMON}, **parameters})

    @cached_property
    def required(self) -> dict[str, Any]:
        """What `requires` returns; the same tasks each time, even when the command line's flags are gone."""
        return dict(self.requires())

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What this stage reads, by name: ``self.inputs["cams"]`` is the open artifact of the stage upstream."""
        return _Inputs(self.required)

    def open(self) -> Any:
        """What a stage that requires this one reads."""
        return self.artifact

    # Identity

    def parameters(self) -> dict[str, object]:
        """The parameters that the result depends on."""
        # What these decide shows in other parameters and in the stages upstream.
        skipped = {"dataset", "method", "settings", *(() if self.uses_seed else ("seed",))}
        return {
            name: getattr(self, name)
            for name, param in self.get_params()
            if param.significant and name not in skipped and matters(self, name)
        }

    def content_identity(self) -> dict[str, str]:
        """Content hashes of inputs that are not a stage: files of the data set, weight files."""
        return {}

    @cached_property
    def identity(self) -> str:
        """Short hash of stage, version, parameters, contents and the identities of the stages upstream."""
        above = sorted((name, task.identity) for name, task in self.required.items())
        text = json.dumps(
            [type(self).__name__, self.version, self.parameters(), self.content_identity(), above], sort_keys=True
        )
        return hash_text(text)[:12]

    @property
    def label(self) -> str:
        """Name of the stage in logs and tables."""
        return type(self).__name__

    @cached_property
    def artifact(self) -> Any:
        """Where this stage writes: ``<artifacts>/<dataset>/<stage>/<identity>``."""
        folder = Path(self.artifacts) / self.dataset / type(self).__name__
        return self.artifact_type(folder / f"{self.identity}{self.artifact_type.suffix}")

    def output(self):
        return _ArtifactTarget(self.artifact)

    def description(self) -> dict:
        """What this artifact is: stage, version, parameters, contents read, digests of the artifacts upstream."""
        described = {
            "stage": self.label,
            "version": self.version,
            "parameters": self.parameters(),
            "contents": self.content_identity(),
            "parents": self._parent_digests(),
        }
        return json.loads(json.dumps(described))  # as it reads back: tuples are lists

    # Completeness

    def _parent_digests(self) -> dict[str, str | None]:
        return {f"{name} {task.identity}": task.artifact.digest() for name, task in self.required.items()}

    def complete(self) -> bool:
        """True if this artifact and all upstream are complete and still have the content that was read.

        A deleted or damaged artifact in the middle thus makes all below it incomplete. Where it is rebuilt with the
        same bytes, they are complete again without any work.
        """
        return self.is_current({})

    def is_current(self, known: dict[str, bool]) -> bool:
        """`complete`; `known` holds the answers of this question so far, so that no stage is visited twice."""
        key = f"{type(self).__name__} {self.identity}"
        if key not in known:
            marker = self.artifact.marker
            known[key] = (
                marker is not None
                and marker.parents == self._parent_digests()
                and all(task.is_current(known) for task in self.required.values())
            )
        return known[key]

    # Running

    def work(self) -> int:
        """Compute what is missing in ``self.artifact``; return the number of images (for the throughput)."""
        raise NotImplementedError

    def run(self):
        with artifact_lock(Path(self.artifacts) / self.dataset, self.label, f"{type(self).__name__}-{self.identity}"):
            if self.complete():  # by another run, while this one waited
                log.info("%s: already complete, %s", self.label, self.artifact.path)
                return
            self._begin()
            log.info("%s: started, %s", self.label, self.artifact.path)
            start = time.perf_counter()
            reset_peak_memory()
            try:
                images = self.work()
            except DamagedArtifactError as error:
                kind = ShardedStore if error.artifact.suffix == ShardedStore.suffix else Artifact
                kind(error.artifact).repair(error)
                raise
            except OSError as error:
                raise StoreError(
                    f"{error.filename or self.artifact.path}: {error.strerror or error}; check disk space and rights, "
                    "then run the same command again: completed shards are kept"
                ) from error
            self.artifact.finish(self._parent_digests())
            write_record(self.record_path, self.label, self.artifact, time.perf_counter() - start, images, self.seed)

    def _begin(self) -> None:
        """Make the folder ready: continue where an interrupted run stopped, unless its inputs have changed."""
        described = self.description()
        path = self.artifact.path / STAGE_FILE
        try:
            if json.loads(path.read_text()) != described:
                self.artifact.discard()
        except (OSError, ValueError):
            self.artifact.discard()
        self.artifact.reopen()
        if not path.exists():
            write_json(path, described)

    def progress(self, items, total: int, unit: str = "image") -> Iterator:
        """Iterate, show the progress, and tell Luigi's scheduler."""
        return track(items, self.label, total, unit, self.report_progress)

    def report_progress(self, done: int, total: int, unit: str) -> None:
        """Progress and status message for Luigi's scheduler."""
        tell: Any = self  # luigi's worker sets both while the task runs
        if tell.set_progress_percentage is None:
            return
        tell.set_progress_percentage(round(100 * done / max(total, 1)))
        tell.set_status_message(f"{done} of {total} {unit}s")

    @property
    def record_path(self) -> Path:
        """JSON of the run that completed this artifact: seconds, throughput, memory, versions."""
        return Path(self.artifacts) / self.dataset / ".runs" / f"{type(self).__name__}-{self.identity}.json"

    def record(self) -> dict:
        """Content of `record_path`; empty if there is none."""
        return read_record(self.record_path)

    def __reduce__(self):  # worker processes get the values of the parameters, and resolve nothing
        return _with_values, (type(self), {name: getattr(self, name) for name, _ in self.get_params()})


def _with_values(stage: type[StageTask], values: dict[str, object]) -> StageTask:
    task = object.__new__(stage)
    task.__dict__.update(values)
    return task


class _Inputs(Mapping):
    """Opens what a stage reads, each at its first use."""

    def __init__(self, required: Mapping[str, StageTask]):
        self.required = required

    def __getitem__(self, name: str) -> Any:
        return self.required[name].open()

    def __iter__(self):
        return iter(self.required)

    def __len__(self):
        return len(self.required)


class _ArtifactTarget(luigi.Target):
    def __init__(self, artifact: Artifact):
        self.artifact = artifact

    def exists(self) -> bool:
        return self.artifact.is_complete()


def _parsed(param: luigi.Parameter, value: object) -> object:
    """A value of `settings` as from the command line, so that 0 and 0.0 are one setting."""
    return param.parse(",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))


def _stage_named(family: str) -> type[StageTask]:
    stages = {name: task for name, task in registered_tasks().items() if issubclass(task, StageTask)}
    if family not in stages:
        raise SettingError(f"there is no stage '{family}'{nearest(family, stages)}")
    return stages[family]
