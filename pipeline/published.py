"""What a paper reports, beside the result of a run: only where split and constants are the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from data.sample import EVALUATION, TRAIN
from tasks.index_dataset import IndexDataset
from tasks.load_saliency import LoadSaliency
from tasks.predict_masks import PredictMasks
from tasks.presets import PROFILES, Profile, preset_of
from tasks.runtime.dag import stages
from tasks.runtime.luigi_seam import default_value
from tasks.runtime.numeric import flag_of
from tasks.runtime.stage import StageTask

UNCOMPARED = {"shard_size", "split", "seed", "precision", "crf_engine", "train_folder", "evaluation_folder"}
"""Parameters of stages that say nothing about the method, and the folders, which are compared by what they stand for.

The engines of the CRF are equal up to rounding."""

NO_FILE = ("hub", "package", "random")
"""Values of the parameter ``weights`` that do not name a file."""


def published_lines(task: StageTask) -> list[str]:
    """Lines about the paper of the profile of a run, none for a profile without a paper.

    The first says what the paper reports, or why its number is not shown: it cannot be compared. The others say what
    the paper leaves open and what is done here.

    Parameters
    ----------
    task : StageTask
        The stage whose result is scored, the predictions; all stages above it are looked at, too. IndexDataset must be
        complete.
    """
    profile = PROFILES[task.profile]
    if not profile.dataset:
        return []
    above = list(stages(task))
    dataset = next(stage for stage in above if isinstance(stage, IndexDataset))
    lines = []
    if profile.published:
        split = dataset.folders().get(EVALUATION, "")
        images = len(dataset.open().split(EVALUATION))
        difference = first_difference(profile, task, above, split, images)
        if difference:
            lines.append(f"the paper's result is not shown, since it cannot be compared: {difference}")
        else:
            trusted = " and ".join(taken_on_trust(above))
            lines.append(
                f"mIoU {profile.published[split].miou:.1f} % on {task.dataset} {split}, predictions"
                + (f", if {trusted}" if trusted else "")
            )
    return [*lines, *(f"open: {line}" for line in profile.left_open)]


def first_difference(profile: Profile, task: StageTask, above: Iterable[StageTask], split: str, images: int) -> str:
    """What makes the result of a run incomparable with the paper's, in words; empty if there is nothing.

    Parameters
    ----------
    profile : Profile
        With a published result.
    task : StageTask
    above : iterable of StageTask
        All stages of the run. A stage that the profile does not name must have its defaults.
    split : str
        The evaluation folder.
    images : int
        Number of its images.
    """
    if task.dataset != profile.dataset:
        return f"the paper uses {profile.dataset}, not {task.dataset}"
    if task.method != profile.method:
        return f"the paper has the method {profile.method}, not {task.method}"
    if split not in profile.published:
        return f"the paper reports {' and '.join(profile.published)}, not {split}"
    if images != profile.published[split].images:
        return f"{split} has {profile.published[split].images} images, here are {images}"
    return next((words for stage in above for words in _differences(profile, task, stage)), "")


def _differences(profile: Profile, task: StageTask, stage: StageTask) -> Iterator[str]:
    """What differs from the paper in one stage, in words."""
    kind = type(stage)
    if isinstance(stage, IndexDataset):
        chosen, usual = stage.folders().get(TRAIN, ""), stage.spec.splits.get(TRAIN, "")
        if chosen != usual:
            yield f"{flag_of(kind, 'train_folder')} is {chosen or 'none'}, the paper learns from {usual}"
    if isinstance(stage, PredictMasks) and stage.model:
        yield f"{flag_of(kind, 'model')} is {stage.model}, a model from elsewhere; the paper's is trained by the run"
    if getattr(stage, "corrected", None):
        yield f"the paper corrects no label by hand; {flag_of(kind, 'corrections')} false leaves the corrections out"
    preset = preset_of(kind.__name__, task.profile, task.method)
    for name, here in stage.parameters().items():
        if name in UNCOMPARED or not hasattr(kind, name):
            continue
        if name == "weights" and here not in NO_FILE:
            continue  # `taken_on_trust`
        if name == "weights" and (source := profile.weights_of_a_file.get(kind.__name__)):
            yield f"the paper begins at weights of {source}; name them by {flag_of(kind, name)} FILE"
        wanted = preset.get(name, default_value(getattr(kind, name)))
        if here != wanted:
            yield f"{flag_of(kind, name)} is {here}, the profile has {wanted}"


def taken_on_trust(above: Iterable[StageTask]) -> Iterator[str]:
    """What nobody can compare with the paper's, since a file has it: one condition in words for each such stage."""
    for stage in above:
        if stage.parameters().get("weights", "hub") not in NO_FILE:
            yield f"FILE of {flag_of(type(stage), 'weights')} holds the paper's weights"
        if isinstance(stage, LoadSaliency) and stage.source == "files":
            yield f"FOLDER of {flag_of(LoadSaliency, 'folder')} holds the maps of the paper's detector"
