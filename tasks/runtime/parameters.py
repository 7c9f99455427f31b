"""Kinds of luigi parameters, and which of them matter. Only parameters that matter enter the identity of an artifact.

A parameter always matters, with two exceptions:

- ``only(parameter, start="pretrained")`` declares it: it matters only if another parameter has this value
  (``when=function`` states a condition on the whole stage).
- A `Choice` of a registry lists it: it matters only if the user selects a choice that lists it.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import luigi

from tasks.runtime.luigi_seam import choices_of
from tasks.runtime.numeric import ranged_parameters


def flag(default: bool, description: str = "", significant: bool = True) -> luigi.BoolParameter:
    """A parameter that is given as ``true`` or ``false``."""
    return luigi.BoolParameter(
        default=default,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description=description or None,
        significant=significant,
    )


P = TypeVar("P", bound="luigi.Parameter[Any]")


@dataclass(frozen=True)
class Choice:
    """One entry of a registry: one way to compute the result of a stage.

    Attributes
    ----------
    function : callable
        Computes the result. It gets the values of `parameters` as keywords, and no other parameter of the stage.
    parameters : tuple of str
        Names of the parameters of the stage that it uses.
    inputs : tuple of str
        Names of the inputs of the stage that it reads.
    """

    function: Callable[..., Any]
    parameters: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()

    def settings(self, stage: luigi.Task) -> dict[str, Any]:
        """The values of `parameters` in a stage: name -> value."""
        return {name: getattr(stage, name) for name in self.parameters}


class RegistryParameter(luigi.ChoiceParameter):
    """The name of an entry of a registry of `Choice`; its choices are the names in the registry."""

    def __init__(self, registry: Mapping[str, Choice], default: str, description: str):
        self.registry = registry
        super().__init__(default=default, choices=tuple(registry), description=description)


def one_of(registry: Collection[str], default: str, description: str = "") -> luigi.ChoiceParameter:
    """A parameter with choices: one of some names, or of the keys of a registry without `Choice` entries."""
    return luigi.ChoiceParameter(default=default, choices=tuple(registry), description=description or None)


def nonzero(value: float) -> bool:
    """A condition of `only`: a weight is not 0, so its term is used."""
    return value != 0


def only(parameter: P, when: Callable[[Any], bool] | None = None, **conditions: object) -> P:
    """Declare under which conditions a parameter matters. All conditions must hold.

    Parameters
    ----------
    parameter : luigi.Parameter
    when : callable, optional
        Condition on the whole stage: stage -> bool.
    conditions
        Name of another parameter -> the value with which `parameter` matters, or a tuple of such values, or a
        function value -> bool. A condition on a parameter that does not matter itself never holds.

    Returns
    -------
    luigi.Parameter
        The same object. Its description now states the conditions on other parameters.
    """
    told = [f"{name} {_told(wanted)}" for name, wanted in conditions.items()]
    vars(parameter).update(when=when, conditions=conditions, plain=parameter.description, clauses=told)
    parameter.description = _with_conditions(parameter.description, told)
    return parameter


def _told(wanted: object) -> str:
    """A condition as the end of a clause. The name of a function begins with ``has_`` where "is" does not fit."""
    if wanted is nonzero:
        return "is not 0"
    if callable(wanted):
        name = getattr(wanted, "__name__", "").replace("_", " ")
        return name if name.startswith("has ") else f"is {name.removeprefix('is ')}"
    if isinstance(wanted, tuple):
        return f"is {' or '.join(map(str, wanted))}"
    return f"is {str(wanted).lower() if isinstance(wanted, bool) else wanted}"


def _with_conditions(text: str | None, told: Sequence[str]) -> str:
    return " ".join(filter(None, [text, f"(if {' and '.join(told)})" if told else ""]))


def matters(stage: luigi.Task, name: str) -> bool:
    """True if the value of a parameter can change what the stage writes, with the present values of all others."""
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


@functools.cache  # planning a grid asks for each parameter of each task
def registries_of(stage: type[luigi.Task]) -> dict[str, Mapping[str, Choice]]:
    """The registries of a stage: parameter that names an entry -> registry."""
    return {name: value.registry for name, value in stage.get_params() if isinstance(value, RegistryParameter)}


LUIGIS_CHOICES = re.compile(r" *Choices: \{[^}]*\}")
"""The text that luigi adds to the description of a parameter with choices. Its order changes from run to run."""


def described(stage: type[luigi.Task], name: str) -> str:
    """The line about a parameter in luigi.cfg: description, conditions under which it matters, legal values."""
    parameter = getattr(stage, name)
    text, told = getattr(parameter, "plain", parameter.description), list(getattr(parameter, "clauses", ()))
    for other, registry in registries_of(stage).items():
        takers = [entry for entry, choice in registry.items() if name in choice.parameters]
        if takers:
            told.append(f"{other} {_told(tuple(takers))}")
    text = _with_conditions(LUIGIS_CHOICES.sub("", text or ""), told)
    choices = ", ".join(sorted(choices_of(parameter)))
    ranged = ranged_parameters(stage).get(name)
    legal = ranged.told()[0] if ranged else ""
    return "; ".join(filter(None, [text, legal, choices and f"choices: {choices}"]))


def nearest(name: str, known: Collection[str]) -> str:
    """The end of an error line about an unknown name: similar names, or else all known names."""
    near = difflib.get_close_matches(name, known, n=3)
    return f"; did you mean: {', '.join(near)}?" if near else f"; use one of: {', '.join(sorted(known))}"
