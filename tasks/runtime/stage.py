"""The base of all stages: what they read, identity, completeness, resuming and error lines.

So the file of a stage contains only its parameters, what it requires, and what it computes.
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

from data.errors import DamagedArtifactError, DatasetError, SettingError, StoreError
from data.files.fingerprint import NAMED_FILES, WatchedFiles
from data.store.artifact import Artifact, hash_text, write_bytes, write_json
from data.store.sharded import ShardedStore
from tasks.presets import PROFILES, preset_of
from tasks.runtime.common_parameters import COMMON, CommonParameters
from tasks.runtime.data_place import data_root_of
from tasks.runtime.device_use import DeviceUse
from tasks.runtime.inputs import ArtifactTarget, Inputs
from tasks.runtime.lock import artifact_lock, lock_name
from tasks.runtime.luigi_seam import is_set
from tasks.runtime.memory import reset_peak_memory
from tasks.runtime.numeric import flag_of, require_legal
from tasks.runtime.parameters import matters
from tasks.runtime.progress import track
from tasks.runtime.quality import WARNINGS
from tasks.runtime.record import read_record, write_record
from tasks.runtime.resource_errors import resource_errors_told
from tasks.runtime.slurm_settings import SLURM

log = logging.getLogger("depthseed")

STAGE_FILE = "stage.json"
"""File in every artifact: stage, version, parameters, and the digests of the artifacts upstream."""

INPUTS_NOTE = "inputs.partial"
"""File in an artifact that is not complete: hash of the stamps of the files that are read."""

S = TypeVar("S", bound="StageTask")

Stages = dict[str, "StageTask"]
"""What `StageTask.requires` returns: name of an input -> the stage that writes it."""


class StageTask(CommonParameters, luigi.Task):
    """Base of all stages.

    A subclass declares its parameters and defines two functions:

    - ``requires()`` returns ``{name: stage}``.
    - ``work()`` reads ``self.inputs[name]`` and writes into ``self.artifact``. Stages over images have the ``work()``
      of `tasks.runtime.image_stage.ImageStage`.

    A parameter that does not change the result is declared with ``significant=False``. `tasks.runtime.parameters`
    declares that a parameter matters only with certain values of other parameters.
    """

    version = 1
    """Increase it when a change of the code gives other results with the same parameters."""

    bf16_version = 0
    """Increase it instead when a change gives other results in bf16 alone. It is never set back."""

    artifact_type: type[Artifact] = ShardedStore
    """What the stage writes: arrays over images (`ShardedStore`) or any files (`Artifact`)."""

    @property
    def uses_seed(self) -> bool:
        """True if the result depends on `seed`."""
        return False

    @classmethod
    def get_param_values(cls, params, args, kwargs):
        """The values of the parameters. For each, the first of these that sets it wins:

        1. the arguments of the call: what `upstream` passes on, or the flags of the stage that is run
        2. `settings`
        3. the flags ``--Stage-parameter`` of the command line
        4. luigi.cfg
        5. the profile, then the method (`tasks.presets`)
        6. the default in the code
        """
        values = dict(super().get_param_values(params, args, kwargs))
        if "method" not in kwargs and not is_set(dict(params)["method"], cls.get_task_family(), "method"):
            values["method"] = PROFILES[values["profile"]].method
        preset = preset_of(cls.__name__, values["profile"], values["method"])
        settings = values["settings"].get(cls.__name__, {})
        for name, param in params:
            if name in kwargs:
                continue
            if name in settings:
                values[name] = _parsed(cls, name, settings[name])
            elif name in preset and not is_set(param, cls.get_task_family(), name):
                values[name] = preset[name]
        if values["cluster"] == SLURM:
            values["dask"] = values["dask"] or SLURM
        require_legal(cls, values, COMMON)
        values["data_root"] = data_root_of(values["dataset"], values["data_root"], values["fetch"])
        values["fetch"] = False  # it is there now; the stages upstream ask no server
        return [(name, values[name]) for name, _ in params]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.check()

    def check(self) -> None:
        """Raise SettingError if the values of several parameters do not fit together. Called when a stage is made."""

    # What it reads

    def requires(self) -> Stages:
        """The stages that this stage reads: name of the input -> stage."""
        return {}

    def upstream(self, stage: type[S], **parameters) -> S:
        """A stage to require, with the `COMMON` parameters of this stage and with `parameters`.

        No other parameter of this stage is passed on, even if the other stage has one of the same name.
        """
        return stage(**{**{name: getattr(self, name) for name in COMMON}, **parameters})

    @cached_property
    def required(self) -> dict[str, Any]:
        """What `requires` returns, kept from the first call: the flags of other stages hold only while luigi parses."""
        return dict(self.requires())

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What this stage reads, by name: ``self.inputs["cams"]`` is what `open` of that stage returns."""
        return Inputs(self.required)

    def open(self) -> Any:
        """What the stages that require this stage read: its artifact, if a subclass does not define something else."""
        return self.artifact

    @cached_property
    def device_use(self) -> DeviceUse:
        """How the networks of this run use their device; it goes into the record."""
        return DeviceUse()

    # Identity

    def parameters(self) -> dict[str, object]:
        """The parameters on which the result depends: name -> value."""
        # These act only through other parameters and through the stages upstream.
        skipped = {"dataset", "method", "settings", "precision", "cluster", *(() if self.uses_seed else ("seed",))}
        found = {
            name: getattr(self, name)
            for name, param in self.get_params()
            if param.significant and name not in skipped and matters(self, name)
        }
        # Results of bf16 differ by more than rounding. Those of 32 bits are the same on all machines, up to rounding.
        return found if self.resolved_precision == "32" else {**found, "precision": self.resolved_precision}

    def content_identity(self) -> dict[str, str]:
        """Content hashes of inputs that no stage writes, such as files of the data set and of weights: name -> hash.

        Raises
        ------
        DepthseedError
            If such a file is missing or its parameter is not set.
        """
        return {}

    @property
    def made_by(self) -> int:
        """Version of the code in the precision of this run."""
        return self.version + (self.bf16_version if self.resolved_precision == "bf16" else 0)

    @cached_property
    def identity(self) -> str:
        """Hash of stage, version, parameters, contents and the identities upstream, 12 hex characters."""
        above = sorted((name, task.identity) for name, task in self.required.items())
        text = json.dumps(
            [type(self).__name__, self.made_by, self.parameters(), self.content_identity(), above], sort_keys=True
        )
        return hash_text(text)[:12]

    @property
    def label(self) -> str:
        """Name of the stage in logs and tables."""
        return type(self).__name__

    @cached_property
    def artifact(self) -> Any:
        """What this stage writes, at ``<artifacts>/<dataset>/<stage>/<identity>``."""
        folder = Path(self.artifacts) / self.dataset / type(self).__name__
        return self.artifact_type(folder / f"{self.identity}{self.artifact_type.suffix}")

    def output(self):
        return ArtifactTarget(self.artifact)

    def description(self) -> dict:
        """What the artifact is made from: stage, version, parameters, content hashes, digests of what was read."""
        described = {
            "stage": self.label,
            "version": self.made_by,
            "parameters": self.parameters(),
            "contents": self.content_identity(),
            "parents": self._parent_digests(),
        }
        return json.loads(json.dumps(described))  # as it reads back: tuples are lists

    # Completeness

    def _parent_digests(self) -> dict[str, str | None]:
        return {f"{name} {task.identity}": task.artifact.digest() for name, task in self.required.items()}

    def complete(self) -> bool:
        """True if this artifact and all artifacts upstream are complete, and were made from each other.

        So if an artifact is deleted or lacks a file, all stages that depend on it are incomplete. If it is rebuilt with
        the same bytes, these stages are complete again and are not recomputed.
        """
        return self.is_current({})

    def is_current(self, known: dict[str, bool]) -> bool:
        """Same as `complete`. `known` keeps the answers for all stages visited so far, so that each is visited once."""
        key = f"{type(self).__name__} {self.identity}"
        if key not in known:
            marker = self.artifact.marker
            known[key] = (
                marker is not None
                and marker.identity == self.identity  # else somebody has copied another artifact to this place
                and marker.parents == self._parent_digests()
                and all(task.is_current(known) for task in self.required.values())
            )
        return known[key]

    # Running

    def work(self) -> int:
        """Compute what is missing in ``self.artifact``. Returns the number of images, for the images per second."""
        raise NotImplementedError

    def run(self):
        """Compute the artifact under its lock, if another run has not completed it.

        Raises
        ------
        DepthseedError
            If an input, a parameter or the disk does not allow it. Damaged inputs are removed first, so that the next
            run recomputes them.
        """
        with artifact_lock(Path(self.artifacts) / self.dataset, self.label, lock_name(self.artifact.path)):
            if self.complete():  # another run has completed it while this run waited
                log.info("%s: already complete, %s", self.label, self.artifact.path)
                return
            watched, parents = self._begin()
            log.info("%s: started, %s", self.label, self.artifact.path)
            start = time.perf_counter()
            reset_peak_memory()
            try:
                with resource_errors_told(self, self.artifact.path):
                    images = self.work()
            except DamagedArtifactError as error:
                kind = ShardedStore if error.artifact.suffix == ShardedStore.suffix else Artifact
                kind(error.artifact).repair(error)
                raise
            except Exception:
                self._require_unchanged(watched, parents)  # what somebody writes to may be cut or of another size
                raise
            self._require_unchanged(watched, parents)
            self._write_findings()
            self.artifact.finish(parents, self.identity)
            seconds = time.perf_counter() - start
            write_record(self.record_path, self.label, self.artifact, seconds, images, self.seed, self.device_use)

    def _require_unchanged(self, watched: list[WatchedFiles], parents: dict[str, str | None]) -> None:
        try:
            for files in watched:
                files.require_unchanged()
        except DatasetError:
            self.artifact.discard()  # it may hold results of another content of the file
            raise
        for name, task in self.required.items():
            if task.artifact.digest() != parents[f"{name} {task.identity}"]:
                self.artifact.discard()
                raise StoreError(
                    f"{task.artifact.path}: was made anew or removed while {self.label} read it; run the same command "
                    "again"
                )

    def findings(self) -> list[str]:
        """What is unusual about the result, one line each (`tasks.runtime.quality`).

        Raises
        ------
        QualityError
            If the result is of no use to the stages that follow.
        """
        return []

    def _write_findings(self) -> None:
        found, path = self.findings(), self.artifact.path / WARNINGS
        path.unlink(missing_ok=True)
        if found:
            write_json(path, found)
        for line in found:
            log.warning("%s: WARNING: %s", self.label, line)

    def watched(self) -> list[WatchedFiles]:
        """Files outside the artifacts that `work` reads: those of the data set, if the stage requires its index."""
        return [self.required["dataset"].files] if "dataset" in self.required else []

    def _begin(self) -> tuple[list[WatchedFiles], dict[str, str | None]]:
        """Prepare the folder: continue where an interrupted run stopped, or start again if the inputs have changed.

        Returns the watched files and the digests of the artifacts upstream. A note keeps a hash of the stamps of these
        files and of those that parameters name, until the artifact is complete. If an input was changed during the
        interrupted run, what is left of that run is removed, even if the input was restored since.
        """
        # The path needs the identities upstream. So what they ask for is known, and the description asks for its own.
        path, note = self.artifact.path / STAGE_FILE, self.artifact.path / INPUTS_NOTE
        described: dict = {}
        named = NAMED_FILES.digest_of(lambda: described.update(self.description()))
        watched = self.watched()
        stamps = hash_text(repr([*(files.digest() for files in watched), *([named] if named else [])]))
        try:
            is_same = json.loads(path.read_bytes()) == described and (not note.exists() or note.read_text() == stamps)
        except (OSError, ValueError):
            is_same = False
        if not is_same:
            self.artifact.discard()
        self.artifact.reopen()
        write_json(path, described)
        write_bytes(note, stamps.encode())
        return [NAMED_FILES, *watched], described["parents"]

    def progress(self, items, total: int, unit: str = "image") -> Iterator:
        """Iterate over `items`, show the progress, and report it to luigi's scheduler."""
        return track(items, self.label, total, unit, self.report_progress)

    def report_progress(self, done: int, total: int, unit: str) -> None:
        """Report progress and a status message to luigi's scheduler."""
        tell: Any = self  # luigi's worker sets both functions while the task runs
        if tell.set_progress_percentage is None:
            return
        tell.set_progress_percentage(round(100 * done / max(total, 1)))
        tell.set_status_message(f"{done} of {total} {unit}s")

    @property
    def record_path(self) -> Path:
        """JSON file about the run that completed this artifact: seconds, images per second, memory, versions."""
        return Path(self.artifacts) / self.dataset / ".runs" / f"{type(self).__name__}-{self.identity}.json"

    def record(self) -> dict:
        """Content of `record_path`; empty if there is none."""
        return read_record(self.record_path)

    def __reduce__(self):  # worker processes get the values of the parameters and need neither luigi.cfg nor flags
        values = {name: getattr(self, name) for name, _ in self.get_params()}
        # "auto" is what it is here, on any machine: the identity depends on it
        return _with_values, (type(self), {**values, "precision": self.resolved_precision})


def _with_values(stage: type[StageTask], values: dict[str, object]) -> StageTask:
    task = object.__new__(stage)
    task.__dict__.update(values, param_kwargs=values)  # the latter for its repr
    return task


def _parsed(stage: type[StageTask], name: str, value: object) -> object:
    """A value of `settings`, parsed as on the command line, so that 0 and 0.0 are the same setting."""
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    try:
        return getattr(stage, name).parse(text)
    except ValueError as error:
        raise SettingError(f"{flag_of(stage, name)} is {text} in settings: {error}") from None
