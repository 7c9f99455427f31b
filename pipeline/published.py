"""What a paper reports, beside the result of a run: only where split and constants are the same."""

from __future__ import annotations

from collections.abc import Iterable

from data.sample import EVALUATION
from tasks.index_dataset import IndexDataset
from tasks.presets import PROFILES, Profile, preset_of
from tasks.runtime.dag import stages
from tasks.runtime.luigi_seam import default_value
from tasks.runtime.numeric import flag_of
from tasks.runtime.stage import StageTask

UNCOMPARED = {"shard_size", "split", "seed", "precision"}
"""Parameters of stages that say nothing about the method."""


def published_lines(task: StageTask) -> list[str]:
    """Lines about the paper of the profile of a run, none for a profile without a paper.

    The first says what the paper reports, or why its number is not shown: it cannot be compared. The others say what
    the paper leaves open and what is done here.

    Parameters
    ----------
    task : StageTask
        Any stage of the run; its stages above are looked at, too. IndexDataset must be complete.
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
            lines.append(f"mIoU {profile.published[split].miou:.1f} % on {task.dataset} {split}, predictions")
    return [*lines, *(f"open: {line}" for line in profile.left_open)]


def first_difference(profile: Profile, task: StageTask, above: Iterable[StageTask], split: str, images: int) -> str:
    """What makes the result of a run incomparable with the paper's, in words; empty if there is nothing.

    Parameters
    ----------
    profile : Profile
        With a published result.
    task : StageTask
    above : iterable of StageTask
        All stages of the run.
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
    for stage in above:
        if type(stage).__name__ not in profile.settings:
            continue
        preset = preset_of(type(stage).__name__, task.profile, task.method)
        for name, here in stage.parameters().items():
            wanted = preset.get(name, default_value(getattr(type(stage), name)) if hasattr(type(stage), name) else here)
            # The paper may begin at weights that only a file has.
            is_free = name in UNCOMPARED or (name == "weights" and here not in ("random", "package"))
            if here != wanted and not is_free:
                return f"{flag_of(type(stage), name)} is {here}, the profile has {wanted}"
    return ""
