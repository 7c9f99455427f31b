"""The text of luigi.cfg, made from the parameters of all stages: ``python -m pipeline config > luigi.cfg``."""

from __future__ import annotations

import textwrap

import luigi

import pipeline
from data.readers.places import USUAL, VARIABLE
from pipeline.surroundings import SETTINGS
from tasks.runtime.data_place import OPTION, SECTION
from tasks.runtime.luigi_seam import default_text, has_default
from tasks.runtime.parameters import described
from tasks.runtime.stage import COMMON, StageTask

HEAD = """\
Settings of luigi and of every stage, written by: python -m pipeline config
A line that begins with # and no space shows a default. Remove the # to change it.
The command line (--GenerateSeeds-alpha 0.6) overrides this file.
This file overrides the profile (tasks/presets.py). The profile overrides the defaults.
luigi reads this file from the working directory, or from the path in LUIGI_CONFIG_PATH.
"""
"""Comment at the top of the file."""

COMMENTS = {
    "local_scheduler": "No server is needed. To use a central scheduler, start luigid --address 127.0.0.1 (it has no "
    "login) and set this to false.",
    "log_level": "Level of luigi's own messages. The lines of the stages are always shown.",
    "no_lock": "luigi's own lock would refuse a second run of the same command. Each artifact has its own lock.",
    "check_complete_on_run": "A stage that ends without a complete artifact has failed.",
    "already_running": "Exit codes. Without them, a failed run exits with 0.",
    "gpu": "Number of stages that may use the GPU at the same time.",
}
"""Comments on luigi's own settings: option -> comment above it."""

PLACE = (
    "folder that holds data sets, each in a folder of its name; looked at where --data-root is not given, after "
    f"${VARIABLE} and before the folder {USUAL} below the working directory; empty = none"
)
"""Comment on the section about the place of data sets."""

WIDTH = 118
"""Characters per line."""

SHOWN_FOR_COMMON = "RunAll"
"""The stage whose section shows the common parameters of all stages."""


def config_text() -> str:
    """The text of luigi.cfg."""
    parts = [_comment(line) for line in HEAD.splitlines()]
    section = ""
    for (name, option), value in SETTINGS.items():
        if name != section:
            parts += ["", f"[{name}]"]
            section = name
        parts += [_comment(COMMENTS[option])] if option in COMMENTS else []
        parts.append(f"{option}={value}")
    parts += ["", f"[{SECTION}]", _comment(PLACE), f"#{OPTION}="]
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
