"""Kinds of luigi parameters, and which of them matter: only those enter the identity of an artifact.

A parameter matters always, unless one of two things is said where it is declared or used:

- ``only(parameter, start="pretrained")``: it matters where another parameter has this value;
- it is listed in a `Choice` of a registry: it matters where the user takes a choice that lists it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import luigi

from data.errors import SettingError
from tasks.runtime.luigi_seam import choices_of


class ScalesParameter(luigi.Parameter[tuple[float, ...]]):
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


def flag(default: bool, description: str = "") -> luigi.BoolParameter:
    """A parameter that is given as ``true`` or ``false``."""
    return luigi.BoolParameter(
        default=default, parsing=luigi.BoolParameter.EXPLICIT_PARSING, description=description or None
    )


P = TypeVar("P", bound="luigi.Parameter[Any]")


@dataclass(frozen=True)
class Choice:
    """One entry of a registry: a way to do what a stage does.

    Attributes
    ----------
    function : callable
        Gets what the stage computes on, and the parameters named here as keywords: it can use no others.
    parameters : tuple of str
        Parameters of the stage.
    inputs : tuple of str
        What it reads of the stages upstream, by name.
    """

    function: Callable[..., Any]
    parameters: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()

    def settings(self, stage: luigi.Task) -> dict[str, Any]:
        """The values of its parameters."""
        return {name: getattr(stage, name) for name in self.parameters}


class RegistryParameter(luigi.ChoiceParameter):
    """The name of an entry of a registry of `Choice`; the registry alone says which names there are."""

    def __init__(self, registry: Mapping[str, Choice], default: str, description: str):
        self.registry = registry
        super().__init__(default=default, choices=tuple(registry), description=description)


def one_of(registry: Collection[str], default: str, description: str = "") -> luigi.ChoiceParameter:
    """The name of an entry of a registry whose entries have no parameters of their own."""
    return luigi.ChoiceParameter(default=default, choices=tuple(registry), description=description or None)


def nonzero(value: float) -> bool:
    """A condition of `only`: the term with this weight is there."""
    return value != 0


def only(parameter: P, when: Callable[[Any], bool] | None = None, **conditions: object) -> P:
    """Say where a parameter matters.

    Parameters
    ----------
    parameter : luigi.Parameter
    when : callable, optional
        stage -> bool.
    conditions
        Name of another parameter -> the value with which this one matters, or a tuple of such values, or a function
        of the value. A condition on a parameter that does not matter itself does not hold.

    Returns
    -------
    luigi.Parameter
        The same; its description tells the conditions.
    """
    vars(parameter).update(when=when, conditions=conditions)
    told = ", ".join(f"{name} {_told(wanted)}" for name, wanted in conditions.items())
    if told:
        parameter.description = f"{parameter.description or ''} ({told})".strip()
    return parameter


def _told(wanted: object) -> str:
    if wanted is nonzero:
        return "not 0"
    if callable(wanted):
        return getattr(wanted, "__name__", "").replace("_", " ")
    if isinstance(wanted, tuple):
        return " or ".join(map(str, wanted))
    return str(wanted).lower() if isinstance(wanted, bool) else str(wanted)


def matters(stage: luigi.Task, name: str) -> bool:
    """True if the value of a parameter can change what the stage writes, the other parameters being as they are."""
    parameter = getattr(type(stage), name)
    when = getattr(parameter, "when", None)
    if when is not None and not when(stage):
        return False
    for other, wanted in getattr(parameter, "conditions", {}).items():
        if not (matters(stage, other) and _holds(getattr(stage, other), wanted)):
            return False
    for other, registry in registries_of(type(stage)).items():
        listed = {listed for choice in registry.values() for listed in choice.parameters}
        if name in listed and name not in registry[getattr(stage, other)].parameters:
            return False
    return True


def _holds(value: object, wanted: object) -> bool:
    if callable(wanted):
        return bool(wanted(value))
    return value in wanted if isinstance(wanted, tuple) else value == wanted


def registries_of(stage: type[luigi.Task]) -> dict[str, Mapping[str, Choice]]:
    """Parameters of a stage that name an entry of a registry, with the registries."""
    return {name: value.registry for name, value in stage.get_params() if isinstance(value, RegistryParameter)}


LUIGIS_CHOICES = re.compile(r" *Choices: \{[^}]*\}")
"""What luigi adds to the description of a choice, in the order of a set."""


def described(stage: type[luigi.Task], name: str) -> str:
    """The one line about a parameter: description, where it matters, choices."""
    parameter = getattr(stage, name)
    parts = [LUIGIS_CHOICES.sub("", parameter.description or "")]
    for other, registry in registries_of(stage).items():
        takers = [entry for entry, choice in registry.items() if name in choice.parameters]
        if takers:
            parts.append(f"({other} {' or '.join(takers)})")
    if choices := choices_of(parameter):
        parts.append(f"Choices: {', '.join(sorted(choices))}.")
    return " ".join(filter(None, parts))


def nearest(name: str, known: Collection[str]) -> str:
    """The end of an error line about an unknown name."""
    near = difflib.get_close_matches(name, known, n=3)
    return f"; did you mean: {', '.join(near)}?" if near else f"; use one of: {', '.join(sorted(known))}"
