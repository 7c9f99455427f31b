"""Pages that are made from the code, so that they cannot be out of date: stages, profiles, packages."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module
from pathlib import Path

import luigi

import pipeline
from tasks.presets import METHOD_DEFAULTS, PROFILES, Settings
from tasks.runtime.luigi_seam import default_text, has_default
from tasks.runtime.parameters import described
from tasks.runtime.stage import COMMON, StageTask

ROOT = Path(__file__).parent.parent

CODE = ("data", "models")
"""Packages that can be used alone. What tasks can do is on the page of the stages."""


def stages_page() -> str:
    """Every task that can be run by name: its docstring and a table of its parameters."""
    parts = [
        "# Stages and parameters",
        "Made from the code. `luigi --module pipeline STAGE --dataset NAME` runs a stage and what it needs. A "
        "parameter is given as `--STAGE-NAME value`, for the stage itself as `--NAME value`, or as a line `NAME=value` "
        "in the section of the stage in luigi.cfg. Underscores of names are hyphens on the command line.",
        "## Common parameters",
        "All stages of a run have the same values.",
        _table(pipeline.RunAll, [name for name in COMMON if name in dict(pipeline.RunAll.get_params())]),
    ]
    for name in pipeline.__all__:
        stage = getattr(pipeline, name)
        hidden = COMMON if issubclass(stage, StageTask) else ()
        own = [option for option, _ in stage.get_params() if option not in hidden]
        parts += [f"## {name}", _text(stage), _table(stage, own) if own else "No parameters of its own."]
    return "\n\n".join(parts) + "\n"


def profiles_page() -> str:
    """Every profile: what it sets, and what the paper leaves open."""
    parts = [
        "# Profiles",
        "Made from `tasks/presets.py`. `--profile NAME` sets these defaults; luigi.cfg and the command line override "
        "them. [Data sets and profiles](../datasets.md) says what they are for.",
    ]
    for name, profile in PROFILES.items():
        of_a_paper = f", data set `{profile.dataset}`" if profile.dataset else ""
        parts += [f"## {name}", f"Method `{profile.method}`{of_a_paper}."]
        parts += [_settings(profile.settings) or "The defaults in the code."]
        parts += [f"- {line}" for line in profile.left_open]
    parts.append("## Defaults of a method")
    for name, settings in METHOD_DEFAULTS.items():
        parts += [f"`--method {name}`:", _settings(settings)]
    return "\n\n".join(parts) + "\n"


def packages() -> list[str]:
    """The packages of `CODE`, each before its sub-packages."""
    found = []
    for room in CODE:
        inner = pkgutil.walk_packages([str(ROOT / room)], f"{room}.")
        found += [room, *(module.name for module in inner if module.ispkg)]
    return found


def package_page(package: str) -> str:
    """What mkdocstrings needs for a page of a package: its modules, in the order of their names."""
    folder = str(ROOT / package.replace(".", "/"))
    modules = [module.name for module in pkgutil.iter_modules([folder]) if not module.ispkg]
    parts = [f"# {package}", f"::: {package}\n    options: {{members: false, show_root_heading: false}}"]
    return "\n\n".join([*parts, *(f"::: {package}.{name}" for name in modules)]) + "\n"


def _text(stage: type[luigi.Task]) -> str:
    """Docstring of a stage, or else that of its file."""
    own = stage.__dict__.get("__doc__")
    return inspect.cleandoc(own) if own else inspect.getdoc(import_module(stage.__module__)) or ""


def _table(stage: type[luigi.Task], names: list[str]) -> str:
    parameters = dict(stage.get_params())
    rows = ["| parameter | default | meaning |", "|---|---|---|"]
    for name in names:
        default = default_text(parameters[name]) if has_default(parameters[name]) else None
        shown = "must be given" if default is None else f"`{default}`" if default else "empty"
        rows.append(f"| `{name}` | {shown} | {_cell(described(stage, name))} |")
    return "\n".join(rows)


def _settings(settings: Settings) -> str:
    lines = [
        f"| {stage} | {', '.join(f'`{name}={value}`' for name, value in values.items())} |"
        for stage, values in settings.items()
    ]
    return "\n".join(["| stage | parameters |", "|---|---|", *lines]) if lines else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
