"""What a profile is, in one line of the log: the networks of the run, from the parameters as they are resolved."""

from __future__ import annotations

import logging

import luigi

from tasks.presets import DEFAULT_PROFILE, GPU_PROFILE, PROFILES
from tasks.runtime.dag import stages
from tasks.runtime.devices import has_gpu
from tasks.runtime.luigi_seam import is_root
from tasks.runtime.stage import StageTask

log = logging.getLogger("depthseed")

NETWORK = ("backbone", "model")
"""Parameters that name a network."""

ABOUT = ("start", "weights", "head")
"""Further parameters of a stage with a network that the line shows."""


def profile_line(task: StageTask) -> str:
    """The networks of all stages of a run: ``profile small, method superpixel: TrainClassifier NAME (...), ...``.

    Parameters
    ----------
    task : StageTask
        The stage that is asked for. Stages of one name, one for each class or split, stand in the line once.
    """
    parts = []
    for stage in stages(task):
        values = stage.parameters()
        names = [str(values[name]) for name in NETWORK if values.get(name)]
        about = [f"{name} {values[name]}" for name in ABOUT if values.get(name)]
        parts += [f"{type(stage).__name__} {names[0]}" + (f" ({', '.join(about)})" if about else "")] if names else []
    told = ", ".join(dict.fromkeys(parts)) or "no network"
    return f"profile {task.profile}, method {task.method}: {told}"


def gpu_line(task: StageTask) -> str:
    """A pointer to the profile for a GPU; empty if there is no GPU, or another profile than the default is chosen."""
    if task.profile != DEFAULT_PROFILE or not has_gpu(task.device):
        return ""
    settings = PROFILES[GPU_PROFILE].settings.values()
    networks = ", ".join(dict.fromkeys(str(values["backbone"]) for values in settings if "backbone" in values))
    return f"this machine has a GPU; the profile for it is --profile {GPU_PROFILE} ({networks})"


@StageTask.event_handler(luigi.Event.DEPENDENCY_DISCOVERED)
def _introduce(task: StageTask, _) -> None:
    """Log both lines once, when luigi plans the stage that is asked for."""
    if is_root(task) and "introduced" not in vars(task):
        vars(task)["introduced"] = True
        log.info("%s", profile_line(task))
        if line := gpu_line(task):
            log.info("%s", line)
