"""The artifacts of a run that can be shown, and the other identities of their stages."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data.errors import SettingError, StoreError
from data.sample import EVALUATION, TRAIN, DatasetIndex, Sample, Samples
from data.store.artifact import MARKER
from data.store.sharded import ShardedStore, StoredImage
from pipeline.asked import luigi_command
from pipeline.report.strips import has_groups, named
from pipeline.view.ranking import TagSets, tag_sets
from tasks.generate_seeds import GenerateSeeds
from tasks.load_depth import LoadDepth
from tasks.predict_tags import PredictTags
from tasks.runtime.dag import state
from tasks.runtime.image_stage import ImageStage, OfSplit
from tasks.runtime.parameters import matters
from tasks.runtime.shards import ImageInputs

SPLITS = (TRAIN, EVALUATION)

OF_EVALUATION = ("tags", "predictions", "instances")
"""Inputs of the report that belong to the evaluation split. All others belong to the train split."""

SEED_PARAMETERS = ("alpha", "gamma", "faint")
"""Parameters of GenerateSeeds that the page can change."""


class LeftOut(NamedTuple):
    """A stage that is not shown.

    Attributes
    ----------
    split, name : str
        Where it would be in `ViewedRun.stages`.
    title : str
        The stage, as it is run.
    state : str
        As of `tasks.runtime.dag.state`, or why it is not shown though it is complete.
    """

    split: str
    name: str
    title: str
    state: str


@dataclass(frozen=True)
class ViewedImage:
    """One image with its part in each artifact.

    Attributes
    ----------
    run : ViewedRun
    split : str
    place : int
        Position in the split.
    sample : Sample
        With its ground truth.
    """

    run: ViewedRun
    split: str
    place: int
    sample: Sample

    def stored(self, name: str, identity: str = "") -> StoredImage:
        """The part of the image in a store; `identity` names another artifact of the same stage."""
        return self.run.store(self.split, name, identity).image(self.place, self.sample.size)

    def class_map(self, name: str, identity: str = "") -> np.ndarray:
        """A map of classes, (H, W) uint16; groups have the classes that EvaluateMasks has matched in this run."""
        stored = self.stored(name, identity)
        return named(stored, self.run.scores.get(name), self.run.dataset.class_names).read("label")

    def has(self, name: str) -> bool:
        """True if the run has a complete artifact of this name."""
        return name in self.run.stages[self.split]


class ViewedRun:
    """The complete artifacts of the run that a report describes.

    It must be made while luigi's parser of the command line is active: it asks for stages that the report does not
    need.

    Parameters
    ----------
    report : WriteReport
    command : str
        The command that computes these artifacts, for the error line.

    Attributes
    ----------
    dataset : DatasetIndex
        With ground truth.
    stages : dict of split -> dict of name -> ImageStage
        The stages whose artifacts are complete and current.
    left_out : list of LeftOut
        The stages that are not shown.
    scores : dict of name -> dict or None
        As EvaluateMasks wrote them; empty if they are not complete and current.

    Raises
    ------
    StoreError
        If the index of the data set is not complete.
    """

    def __init__(self, report: Any, command: str = ""):
        index = report.required["dataset"]
        if not index.complete():
            raise StoreError(
                f"there are no artifacts of this data set with these parameters in {report.artifacts}; run: "
                + (command or luigi_command("RunAll", ["--dataset", report.dataset]))
            )
        self.name = report.dataset
        self.dataset: DatasetIndex = index.read_with_truth()
        self.stages: dict[str, dict[str, ImageStage]] = {split: {} for split in SPLITS}
        self.left_out: list[LeftOut] = []
        known: dict[str, bool] = {}
        scores: Any = report.required["scores"]
        self.scores: dict[str, Any] = scores.read() if scores.is_current(known) else {}
        for split, wanted in _wanted(report).items():
            for name, stage in wanted.items():
                if not self.dataset.split(split):
                    continue
                is_current = stage.is_current(known)
                if is_current and (self.scores.get(name) or not has_groups(stage.artifact)):
                    self.stages[split][name] = stage
                else:
                    told = "groups that EvaluateMasks has not matched to classes" if is_current else state(stage)
                    self.left_out.append(LeftOut(split, name, _title(stage, split), told))

    @functools.cached_property
    def _samples(self) -> dict[str, Samples]:
        return {split: self.dataset.split(split) for split in SPLITS}

    def samples(self, split: str) -> Samples:
        """The images of a split, in the order of every artifact; SettingError for an unknown split."""
        if split not in SPLITS:
            raise SettingError(f"there is no split '{split}'; use {' or '.join(SPLITS)}")
        return self._samples[split]

    @functools.cached_property
    def _tag_sets(self) -> dict[str, TagSets]:
        return {split: tag_sets(self.samples(split)) for split in SPLITS}

    def tag_sets(self, split: str) -> TagSets:
        """The tags of the images of a split; found once, since that takes half a second for 10^5 images."""
        return self._tag_sets[split]

    def image(self, split: str, place: int) -> ViewedImage:
        """One image; SettingError if there is none at this place."""
        samples = self.samples(split)
        if not 0 <= place < len(samples):
            raise SettingError(f"the {split} split has {len(samples)} images; there is none at place {place}")
        return ViewedImage(self, split, place, samples[place])

    def store(self, split: str, name: str, identity: str = "") -> ShardedStore:
        """An artifact of the run, or one of another identity of its stage (`identities`).

        Raises
        ------
        SettingError
            If there is no such artifact.
        """
        stage = self.stages[split].get(name)
        if stage is None:
            raise SettingError(f"the run has no complete artifact of '{name}' of the {split} split")
        if not identity or identity == stage.identity:
            return stage.artifact
        if identity not in self.identities(split, name):
            raise SettingError(f"{stage.label}: there is no complete artifact {identity} of these images")
        return self._opened(stage.artifact.path.with_name(f"{identity}{ShardedStore.suffix}"))

    @functools.cached_property
    def _stores(self) -> dict[Path, ShardedStore]:
        """The opened artifacts of other identities."""
        return {}

    @functools.cached_property
    def _fitting(self) -> dict[tuple[str, Path], bool]:
        return {}

    def _opened(self, path: Path) -> ShardedStore:
        return self._stores.setdefault(path, ShardedStore(path))

    def identities(self, split: str, name: str) -> dict[str, str]:
        """Identities of complete artifacts of a stage with the same images and classes: identity -> what differs.

        The run's own identity is the first; the others follow in the order of their names.
        """
        stage = self.stages[split][name]
        own = stage.artifact
        found = {stage.identity: "this run"}
        if has_groups(own):
            return found  # what the groups of others stand for is not known here
        for path in sorted(own.path.parent.glob(f"*{ShardedStore.suffix}")):
            if path == own.path or not (path / MARKER).exists():
                continue
            other = self._opened(path)
            if other.marker is None or not self._is_of(split, other):
                continue
            found[path.stem] = _difference(own.attrs["parameters"], other.attrs["parameters"])
        return found

    def _is_of(self, split: str, store: ShardedStore) -> bool:
        """True if an artifact has the images of a split, in their sizes, and the classes; they are read once.

        Runs of another data root or working size may have images of the same names.
        """
        key = split, store.path
        if key not in self._fitting:
            samples = self.samples(split)
            own = {
                "image_id": samples.table.values["image_id"], "height": samples.sizes[:, 0],
                "width": samples.sizes[:, 1], "class_name": np.array(self.dataset.class_names),
            }  # fmt: skip
            is_split = store.attrs["parameters"].get("split", split) == split
            self._fitting[key] = is_split and all(
                np.array_equal(np.asarray(store.array(name)[:]), values) for name, values in own.items()
            )
        return self._fitting[key]

    # Seeds that are computed again

    @property
    def seeds(self) -> GenerateSeeds | None:
        """The stage of the seeds, if they come from CAMs and its inputs are shown."""
        stage = self.stages[TRAIN].get("seeds")
        if not isinstance(stage, GenerateSeeds) or stage.source != "cams":
            return None
        return stage if set(stage.required) - {"dataset"} <= set(self.stages[TRAIN]) else None

    def seed_parameters(self) -> dict[str, float]:
        """The parameters of the seeds that can be changed and matter: name -> value in the run."""
        stage = self.seeds
        return {} if stage is None else {n: getattr(stage, n) for n in SEED_PARAMETERS if matters(stage, n)}

    def seed(self, image: ViewedImage, **parameters: float) -> np.ndarray:
        """The initial seed that GenerateSeeds would write with other parameters: the stage itself computes it.

        Parameters
        ----------
        image : ViewedImage
            Of the train split.
        **parameters : float
            Some of `seed_parameters`.

        Returns
        -------
        ndarray, (H, W), uint16
            0 background, 1.. class, 65535 unlabelled.

        Raises
        ------
        SettingError
            If a value is not legal, or the seeds cannot be computed from what is shown.
        """
        if self.seeds is None:
            raise SettingError("the seeds of this run do not come from CAMs that are shown")
        stage = self.seeds.clone(**parameters)
        stage.corrected = self.seeds.corrected  # what the stages of the run above a clone are is not known here
        stores = {name: self.stages[TRAIN][name].artifact for name in self.seeds.required if name != "dataset"}
        inputs = ImageInputs(stores, image.place, image.sample.size, self.dataset.num_classes)
        return stage.compute(image.sample, inputs)["seed"]


def _wanted(report: Any) -> dict[str, dict[str, ImageStage]]:
    """The stages over images of a run, by split and name."""
    over_images = {name: stage for name, stage in report.required.items() if isinstance(stage, ImageStage)}
    train = {name: stage for name, stage in over_images.items() if name not in OF_EVALUATION}
    evaluation = {name: over_images[name] for name in OF_EVALUATION if name in over_images}
    if "tags" in evaluation:
        train["tags"] = report.upstream(PredictTags, split=TRAIN)
    if "depth" in train:
        evaluation["depth"] = report.upstream(LoadDepth, split=EVALUATION)
    if "proposals" in train:
        evaluation["proposals"] = report.required["predictions"].required["proposals"]
    return {TRAIN: train, EVALUATION: evaluation}


def _title(stage: ImageStage, split: str) -> str:
    return f"{type(stage).__name__} --split {split}" if isinstance(stage, OfSplit) else type(stage).__name__


def _difference(own: Mapping[str, object], other: Mapping[str, object]) -> str:
    """Which parameters of an artifact differ from those of the run, as a text."""
    names = sorted(name for name in own.keys() | other.keys() if own.get(name) != other.get(name))
    return ", ".join(f"{name} {other.get(name, '–')}" for name in names) or "other inputs"
