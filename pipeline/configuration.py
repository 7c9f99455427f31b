"""The text of luigi.cfg, made from the parameters of all stages: ``python -m pipeline config > luigi.cfg``."""

from __future__ import annotations

import textwrap

import luigi

import pipeline
from pipeline.surroundings import SETTINGS
from tasks.runtime.luigi_seam import default_text, has_default
from tasks.runtime.parameters import described
from tasks.runtime.stage import COMMON, StageTask

HEAD = """\
Settings of luigi and of every stage, written by: python -m pipeline config
A line with # and no space after it shows a default. Remove the # to change it.
The command line wins (--GenerateSeeds-alpha 0.6), then this file, then the profile (tasks/presets.py), then the
default. luigi reads this file from the working directory, or from the path in LUIGI_CONFIG_PATH.
"""

COMMENTS = {
    "local_scheduler": "One machine, no server. For several machines start luigid --address 127.0.0.1, which has no "
    "login, and set false.",
    "log_level": "Of luigi's own messages; the stages' lines are always shown.",
    "no_lock": "luigi's own lock would refuse a second run of the same command; each artifact has a lock of its own.",
    "check_complete_on_run": "A stage that ends without its artifact has failed.",
    "already_running": "Without these a failed run exits with 0.",
    "gpu": "Stages that use the GPU at the same time.",
}
"""Why luigi's own settings are as they are: option -> comment above it."""

WIDTH = 118

SHOWN_FOR_COMMON = "RunAll"
"""The stage whose section shows the parameters that all stages share."""


def config_text() -> str:
    """The whole file."""
    parts = [_comment(line) for line in HEAD.splitlines()]
    section = ""
    for (name, option), value in SETTINGS.items():
        if name != section:
            parts += ["", f"[{name}]"]
            section = name
        parts += [_comment(COMMENTS[option])] if option in COMMENTS else []
        parts.append(f"{option}={value}")
    for name in pipeline.__all__:
        parts += ["", *_section(name, getattr(pipeline, name))]
    return "\n".join(parts) + "\n"


def _section(name: str, stage: type[luigi.Task]) -> list[str]:
    hidden = COMMON if issubclass(stage, StageTask) and name != SHOWN_FOR_COMMON else ()
    lines = [f"[{name}]"]
    for option, parameter in stage.get_params():
        if option in hidden:
            continue
        if text := described(stage, option):
            lines.append(_comment(text))
        if not has_default(parameter):
            lines.append(f"# {option} has no default: give --{name}-{option.replace('_', '-')}")
            continue
        lines.append(f"#{option}={default_text(parameter)}")
    return lines


def _comment(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="# ", subsequent_indent="# ")
