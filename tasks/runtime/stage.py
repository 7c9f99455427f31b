"""What all stages share: identity, completeness, resume, locking, progress, error lines.

A stage file states its parameters, what it requires, and the work; nothing of this.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
import json
import logging
import platform
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

import luigi
from filelock import FileLock, Timeout
from luigi.task_register import Register
from tqdm import tqdm

from data.errors import DamagedArtifactError, SettingError, StoreError
from data.readers import DATASETS
from data.sample import DatasetIndex
from data.store.artifact import Artifact, hash_text, write_json
from data.store.sharded import ShardedStore
from tasks.presets import PROFILES, preset_of
from tasks.runtime.memory import peak_memory_mb, reset_peak_memory

log = logging.getLogger("depthseed")

STAGE_FILE = "stage.json"
"""In every artifact: stage, version, parameters and the digests of its parents."""

COMMON = ("dataset", "data_root", "artifacts", "profile", "method", "settings", "seed", "processes", "dask", "device")
"""Parameters that every stage hands up to the stages it requires."""


METHODS = ("superpixel", "masking", "coarse")
"""The roads through the DAG; `tasks.methods` says which stage trains the segmentation network on each."""


class ScalesParameter(luigi.Parameter):
    """A comma-separated list of numbers, ``1,0.75,0.5``; the task sees a tuple of floats."""

    def parse(self, text: str) -> tuple[float, ...]:
        try:
            return tuple(float(part) for part in text.split(","))
        except ValueError:
            raise SettingError(f"'{text}' is not a list of numbers; write them as 1,0.75,0.5") from None

    def serialize(self, value: tuple[float, ...]) -> str:
        return ",".join(f"{number:g}" for number in value)

    def _warn_on_wrong_param_type(self, name, value):
        pass  # luigi would warn of the tuple


class SettingsParameter(luigi.DictParameter):
    """JSON of stage -> parameter -> value, checked: ``{"TrainClassifier": {"deal_weight": 0.2}}``."""

    def parse(self, text: str):
        try:
            return super().parse(text)
        except ValueError as error:
            raise SettingError(
                f"settings '{text}' are no JSON ({error}); write "
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
                    raise SettingError(f"stage {family} has no parameter '{name}'{_nearest(name, known)}")
        return settings


class StageTask(luigi.Task):
    """Base of all stages.

    A subclass sets `version` (raise it when the same parameters give other results), declares its
    parameters, ``requires()``, and ``work()``, which writes into ``self.artifact``. Parameters
    declared with ``significant=False`` do not enter the identity.
    """

    version = 1
    suffix = ".zarr"

    dataset = luigi.Parameter(default="demo", description=f"data set: {', '.join(sorted(DATASETS))}")
    data_root = luigi.Parameter(default="", description="folder of the data set; demo makes its own", significant=False)
    artifacts = luigi.Parameter(default="artifacts", description="folder for all results", significant=False)
    profile = luigi.ChoiceParameter(
        default="small", choices=sorted(PROFILES), description="preset of parameters", significant=False
    )
    method = luigi.ChoiceParameter(
        default="superpixel", choices=METHODS, description="how the segmentation network learns"
    )
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

    uses_seed = False
    """True for the stages whose result depends on `seed`."""

    came_later: Mapping[str, object] = {}
    """Parameters younger than the stage, with the value that means what it always did: at that value they stay
    out of the identity, so that a new choice does not make old artifacts stale."""

    @classmethod
    def get_param_values(cls, params, args, kwargs):
        """Luigi's resolution, with the profile between luigi.cfg and the default in the code, and `settings` above."""
        values = dict(super().get_param_values(params, args, kwargs))
        if "method" not in kwargs and not _is_set(dict(params)["method"], cls.get_task_family(), "method"):
            values["method"] = PROFILES[values["profile"]].method
        preset = preset_of(cls.__name__, values["profile"], values["method"])
        settings = values["settings"].get(cls.__name__, {})
        for name, param in params:
            if name in kwargs:
                continue
            if name in settings:
                values[name] = _parsed(param, settings[name])
            elif name in preset and not _is_set(param, cls.get_task_family(), name):
                values[name] = preset[name]
        return [(name, values[name]) for name, _ in params]

    def upstream(self, stage: type[StageTask], **parameters) -> StageTask:
        """The task of an earlier stage with the same common parameters (never with equal-named stage ones)."""
        return stage(**{**{name: getattr(self, name) for name in COMMON}, **parameters})

    # Identity and completeness

    def parameters(self) -> dict[str, object]:
        """The parameters that the result depends on."""
        # What they decide shows in other parameters and in the stages above.
        skipped = {"dataset", "method", "settings", *self.unused(), *(() if self.uses_seed else ("seed",))}
        return {
            name: getattr(self, name)
            for name, param in self.get_params()
            if param.significant and name not in skipped and not self._is_as_ever(name)
        }

    def unused(self) -> tuple[str, ...]:
        """Parameters that do not matter, the others being what they are."""
        return ()

    def _is_as_ever(self, name: str) -> bool:
        return name in self.came_later and getattr(self, name) == self.came_later[name]

    def content_identity(self) -> dict[str, str]:
        """Content hashes of inputs that are no stage: data-set files, weight files."""
        return {}

    @property
    def identity(self) -> str:
        """Short hash of stage, version, parameters, contents and the identities of the stages above."""
        if not hasattr(self, "_identity"):
            above = sorted((task.label, task.identity) for task in self.stages_above())
            text = json.dumps(
                [type(self).__name__, self.version, self.parameters(), self.content_identity(), above], sort_keys=True
            )
            self._identity = hash_text(text)[:12]
        return self._identity

    @property
    def label(self) -> str:
        """Name of the stage among those that another one requires."""
        return type(self).__name__

    def stages_above(self) -> list[StageTask]:
        """What `requires` names, as a list; the same tasks each time, even once the command line's flags are gone."""
        if not hasattr(self, "_stages_above"):
            self._stages_above = list(luigi.task.flatten(self.requires()))
        return self._stages_above

    @property
    def artifact(self) -> Artifact | ShardedStore:
        """Where this stage writes: ``<artifacts>/<dataset>/<stage>/<identity>``."""
        if not hasattr(self, "_artifact"):
            kind = ShardedStore if self.suffix == ".zarr" else Artifact
            folder = Path(self.artifacts) / self.dataset / type(self).__name__
            self._artifact = kind(folder / f"{self.identity}{self.suffix}")
        return self._artifact

    def output(self):
        return _ArtifactTarget(self.artifact)

    def parent_digests(self) -> dict[str, str | None]:
        return {f"{task.label} {task.identity}": task.artifact.digest() for task in self.stages_above()}

    def complete(self) -> bool:
        """True if this artifact and all above are complete and still have the content that was read.

        A deleted or damaged artifact in the middle thus makes all below it incomplete; where it is
        rebuilt with the same bytes, they are complete again without any work.
        """
        marker = self.artifact.marker
        if marker is None or not self.artifact.is_complete():
            return False
        return marker["parents"] == self.parent_digests() and all(task.complete() for task in self.stages_above())

    # Running

    def work(self) -> int:
        """Compute what is missing in ``self.artifact``; return the number of images (for the throughput)."""
        raise NotImplementedError

    def run(self):
        with self._lock():
            if self.complete():  # by another run, while this one waited
                log.info("%s: already there, %s", self.label, self.artifact.path)
                return
            self._begin()
            log.info("%s: started, %s", self.label, self.artifact.path)
            start = time.perf_counter()
            reset_peak_memory()
            try:
                images = self.work()
            except DamagedArtifactError as error:
                kind = ShardedStore if error.artifact.suffix == ".zarr" else Artifact
                kind(error.artifact).repair(error)
                raise
            except OSError as error:
                raise StoreError(
                    f"{error.filename or self.artifact.path}: {error.strerror or error}; check disk space and rights, "
                    "then run the same command again: what is finished stays"
                ) from error
            self.artifact.finish(self.parent_digests())
            self._record(time.perf_counter() - start, images or 0)

    def _begin(self) -> None:
        """Make the folder ready: go on where an interrupted run stopped, unless its inputs have changed."""
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

    def description(self) -> dict:
        """What this artifact is: stage, version, parameters, contents read, digests of the stages above."""
        described = {
            "stage": self.label,
            "version": self.version,
            "parameters": self.parameters(),
            "contents": self.content_identity(),
            "parents": self.parent_digests(),
        }
        return json.loads(json.dumps(described))  # as it reads back: tuples are lists

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One writer an artifact: a second run waits here until the first is done, or killed."""
        folder = Path(self.artifacts) / self.dataset / ".locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / f"{type(self).__name__}-{self.identity}.lock")
            lock.acquire(timeout=0)
        except Timeout:  # an OSError, too: it must come first
            log.info("%s: another run is computing %s; waiting for it", self.label, self.identity)
            lock.acquire()
        except OSError as error:
            raise StoreError(
                f"{folder}: cannot be written ({error.strerror}); choose another folder with --artifacts"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def map_shards(self, function: Callable, shards: Iterable[tuple], count: int | None = None) -> Iterator:
        """`tasks.runtime.executors.map_shards` with this task's processes."""
        from tasks.runtime.executors import map_shards

        return map_shards(function, shards, self.processes, count, self.dask)

    def progress(self, items, total: int, unit: str = "image") -> Iterator:
        """Iterate with a progress bar, and tell Luigi's scheduler."""
        for number, item in enumerate(tqdm(items, desc=self.label, total=total, unit=unit, dynamic_ncols=True)):
            yield item
            self.report_progress(number + 1, total, unit)

    def report_progress(self, done: int, total: int, unit: str) -> None:
        """Progress and status message for Luigi's scheduler."""
        if self.set_progress_percentage is None:
            return  # run without a luigi worker
        self.set_progress_percentage(round(100 * done / max(total, 1)))
        self.set_status_message(f"{done} of {total} {unit}s")

    def _record(self, seconds: float, images: int) -> None:
        """Provenance of this run, beside the artifacts: they hold nothing that changes from run to run."""
        versions = {}
        for package in ("depthseed", "torch", "timm", "zarr", "numpy", "scikit-image", "luigi"):
            try:
                versions[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                versions[package] = "not installed"
        files, size = self.artifact.size()
        rate = images / seconds if seconds and images else None
        write_json(
            self.record_path,
            {
                "seconds": round(seconds, 3),
                "images": images,
                "images_per_second": rate and round(rate, 3),
                "peak_memory_mb": peak_memory_mb(),
                "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "host": socket.gethostname(),
                "python": platform.python_version(),
                "seed": self.seed,
                "versions": versions,
            },
        )
        log.info(
            "%s: %.1f s%s, %.1f MB in %d files, wrote %s",
            self.label,
            seconds,
            f", {rate:.1f} images/s" if rate else "",
            size / 1e6,
            files,
            self.artifact.path,
        )

    @property
    def record_path(self) -> Path:
        """JSON of the run that completed this artifact: seconds, throughput, memory, versions."""
        return Path(self.artifacts) / self.dataset / ".runs" / f"{type(self).__name__}-{self.identity}.json"

    def record(self) -> dict:
        """Content of `record_path`; empty if there is none."""
        try:
            return json.loads(self.record_path.read_text())
        except (OSError, ValueError):
            return {}

    # Data set

    @property
    def index(self) -> DatasetIndex:
        """The data set's index, from the IndexDataset stage."""
        from tasks.index_dataset import IndexDataset

        return self.upstream(IndexDataset).read()


class _ArtifactTarget(luigi.Target):
    def __init__(self, artifact: Artifact):
        self.artifact = artifact

    def exists(self) -> bool:
        return self.artifact.is_complete()


def _is_set(param: luigi.Parameter, family: str, name: str) -> bool:
    """True if the command line or luigi.cfg gives the parameter: what luigi finds with the default taken away."""
    probe = copy.copy(param)
    probe._default = luigi.parameter._no_value
    return probe.has_task_value(family, name)


def _parsed(param: luigi.Parameter, value: object) -> object:
    """A value of `settings` as from the command line, so that 0 and 0.0 are one setting."""
    return param.parse(",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))


def _stage_named(family: str) -> type[StageTask]:
    stages = {name: stage for name in Register.task_names() if _is_stage(stage := Register.get_task_cls(name))}
    if family not in stages:
        raise SettingError(f"there is no stage '{family}'{_nearest(family, stages)}")
    return stages[family]


def _is_stage(task: type) -> bool:
    return isinstance(task, type) and issubclass(task, StageTask)


def _nearest(name: str, known) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    return f"; did you mean: {', '.join(near)}?" if near else f"; there are: {', '.join(sorted(known))}"
