"""Numeric parameters with the range of their legal values. A value outside is refused when the task is made."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import luigi

from data.errors import SettingError

BOUNDS: dict[str, Callable[[float, float], bool]] = {
    "at_least": operator.ge,
    "above": operator.gt,
    "at_most": operator.le,
    "below": operator.lt,
}
"""Name of a bound of `Range` -> function (value, bound) -> True if the value keeps it."""

LARGEST = 1e30
"""No number may be larger or below its negative: networks and losses compute in float32, which ends at 3e38."""


@dataclass(frozen=True)
class Range:
    """The legal values of a number. NaN and what is beyond `LARGEST` are never legal. ``str`` tells it in a few words.

    Attributes
    ----------
    at_least, above, at_most, below : float or None
        Bounds; None = no such bound.
    among : tuple of int
        The only legal values; empty = all within the bounds.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    among: tuple[int, ...] = ()

    @property
    def bounds(self) -> dict[str, float]:
        """The bounds that are set: name -> value."""
        return {name: bound for name in BOUNDS if (bound := getattr(self, name)) is not None}

    def allows(self, value: object) -> bool:
        """True if the value is a number in the range, and not beyond `LARGEST`."""
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        return (
            _fits_float32(value)
            and all(BOUNDS[name](float(value), bound) for name, bound in self.bounds.items())
            and (not self.among or value in self.among)
        )

    def __str__(self) -> str:
        if self.among:
            return f"one of {', '.join(map(str, self.among))}"
        shown = {name: f"{bound:.15g}" for name, bound in self.bounds.items()}
        if shown.keys() == {"at_least", "at_most"}:
            return f"from {shown['at_least']} to {shown['at_most']}"
        return ", ".join(f"{name.replace('_', ' ')} {bound}" for name, bound in shown.items())

    def of(self, noun: str) -> str:
        """A value with this range, for error lines: ``a number above 0``. `noun` names what the value is."""
        if self.among:
            return str(self)
        return f"{noun} of {self}" if self.bounds and str(self).startswith("at") else f"{noun} {self}".rstrip()


def _fits_float32(value: Any) -> bool:
    """False beyond `LARGEST`, for whole numbers of any length, too, and for NaN."""
    return bool(-LARGEST <= value <= LARGEST)


class WholeParameter(luigi.IntParameter):
    """A whole number in a range."""

    def __init__(self, default: int, description: str, legal: Range, significant: bool = True):
        self.legal = legal
        super().__init__(default=default, description=description, significant=significant)

    def parse(self, text: str) -> Any:
        return _number_or_text(int, text)

    def allows(self, value: object) -> bool:
        """True for a legal value."""
        return isinstance(value, Integral) and self.legal.allows(value)

    def told(self) -> tuple[str, str]:
        """The legal values in words: for luigi.cfg, and for error lines."""
        return str(self.legal), self.legal.of("a whole number")


class NumberParameter(luigi.FloatParameter):
    """A number in a range."""

    def __init__(self, default: float, description: str, legal: Range, significant: bool = True):
        self.legal = legal
        super().__init__(default=default, description=description, significant=significant)

    def parse(self, text: str) -> Any:
        return _number_or_text(float, text)

    def allows(self, value: object) -> bool:
        """True for a legal value."""
        return self.legal.allows(value)

    def told(self) -> tuple[str, str]:
        """The legal values in words: for luigi.cfg, and for error lines."""
        return str(self.legal), self.legal.of("a number")


class NumberOrName(NumberParameter):
    """A number in a range, or one of some names."""

    def __init__(self, default: float, description: str, legal: Range, names: tuple[str, ...]):
        self.names = names
        super().__init__(default, description, legal)

    def allows(self, value: object) -> bool:
        """True for a legal number and for a name."""
        return (isinstance(value, str) and value in self.names) or super().allows(value)

    def told(self) -> tuple[str, str]:
        """The legal values in words: for luigi.cfg, and for error lines."""
        names = f", or {' or '.join(self.names)}"
        return f"{self.legal}{names}", f"{self.legal.of('a number')}{names}"


class NumbersParameter(luigi.Parameter[tuple[float, ...]]):
    """A comma-separated list of numbers in a range, ``1,0.75,0.5``; its value is a tuple of floats, not empty.

    Parameters
    ----------
    default, description
    legal : Range
        Of each number.
    are_whole : bool
        Only whole numbers are legal.
    count : int or None
        How many numbers there must be; None = any number.
    """

    def __init__(
        self,
        default: tuple[float, ...],
        description: str,
        legal: Range,
        are_whole: bool = False,
        count: int | None = None,
    ):
        self.legal, self.are_whole, self.count = legal, are_whole, count
        super().__init__(default=default, description=description)

    def parse(self, text: str) -> Any:
        return _number_or_text(lambda listed: tuple(float(part) for part in listed.split(",")), text)

    def serialize(self, value: tuple[float, ...]) -> str:
        return ",".join(f"{number:g}" for number in value)

    def allows(self, value: object) -> bool:
        """True for a legal value."""
        return (
            isinstance(value, tuple)
            and (len(value) == self.count if self.count else len(value) > 0)
            and all(self.legal.allows(number) and (not self.are_whole or number % 1 == 0) for number in value)
        )

    def told(self) -> tuple[str, str]:
        """The legal values in words: for luigi.cfg, and for error lines."""
        noun = "whole numbers" if self.are_whole else "numbers"
        many = f"{self.count} {noun}" if self.count else noun
        return f"{many}, each {self.legal}", f"{many}, each {self.legal}, separated by commas"

    def _warn_on_wrong_param_type(self, name, value):
        pass  # luigi would warn about the tuple


def _number_or_text(parse: Callable[[str], Any], text: str) -> Any:
    """The parsed value. Text that is no number stays text: `require_legal` refuses it, and knows the flag."""
    try:
        return parse(text)
    except ValueError:
        return text


def whole(
    default: int,
    description: str,
    *,
    at_least: int | None = None,
    at_most: int | None = None,
    among: tuple[int, ...] = (),
    significant: bool = True,
) -> WholeParameter:
    """A parameter that is a whole number. The bounds are those of `Range`."""
    return WholeParameter(default, description, Range(at_least=at_least, at_most=at_most, among=among), significant)


def number(
    default: float,
    description: str,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    significant: bool = True,
) -> NumberParameter:
    """A parameter that is a number. The bounds are those of `Range`."""
    return NumberParameter(default, description, Range(at_least, above, at_most, below), significant)


def number_or_name(
    default: float, description: str, names: Collection[str], *, at_least: float | None = None
) -> NumberOrName:
    """A parameter that is a number, or one of some names. The bounds are those of `Range`."""
    return NumberOrName(default, description, Range(at_least=at_least), tuple(names))


SCALES = Range(at_least=0.05, at_most=16)
"""Scales of an image. Below, nothing is left of a small image; above, no memory holds a photograph."""


def scale_parameter(default: float, description: str) -> NumberParameter:
    """A parameter that is the scale of an image, relative to its size."""
    return NumberParameter(default, description, SCALES)


def scales_parameter(default: tuple[float, ...], description: str) -> NumbersParameter:
    """A parameter that is a list of scales of an image, relative to its size."""
    return NumbersParameter(default, description, SCALES)


def require_legal(task: type[luigi.Task], values: Mapping[str, object], shared: Collection[str] = ()) -> None:
    """Refuse numbers that are not in the range of their parameter.

    Parameters
    ----------
    task : type
    values : dict of parameter -> value
    shared : collection of str
        Parameters that all tasks have. Their flags need no name of a task.

    Raises
    ------
    SettingError
        At the first such value.
    """
    for name, parameter in ranged_parameters(task).items():
        value = values[name]
        if not parameter.allows(value):
            flag_name = f"--{name.replace('_', '-')}" if name in shared else flag_of(task, name)
            hint = f" (and of at most {LARGEST:g})" if _is_beyond(value) else ""
            raise SettingError(f"{flag_name} is {_shown(value)}; set it to {parameter.told()[1]}{hint}")


def _is_beyond(value: object) -> bool:
    if isinstance(value, tuple):
        return any(map(_is_beyond, value))
    return isinstance(value, Real) and not _fits_float32(value)


def _shown(value: object) -> str:
    """A value as the user wrote it, on one line of limited length."""
    if isinstance(value, tuple):
        return ",".join(map(_shown, value))
    return " ".join((f"{value:.15g}" if isinstance(value, float) else str(value)).split())[:80]


def require_order(task: luigi.Task, low: str, high: str, is_strict: bool = False) -> None:
    """Raise SettingError if the parameter `low` is above the parameter `high`; if `is_strict`, also if it is equal."""
    first, second = getattr(task, low), getattr(task, high)
    if first > second or (is_strict and first == second):
        raise SettingError(
            f"{flag_of(type(task), low)} is {first:g} and {flag_of(type(task), high)} is {second:g}; "
            f"the first must be {'below' if is_strict else 'at most'} the second"
        )


def flag_of(task: type[luigi.Task], name: str) -> str:
    """The flag that sets a parameter of a task, whatever task is run."""
    return f"--{task.get_task_family()}-{name.replace('_', '-')}"


@functools.cache  # each task that is made asks for it
def ranged_parameters(task: type[luigi.Task]) -> dict[str, WholeParameter | NumberParameter | NumbersParameter]:
    """The numeric parameters of a task: name -> parameter."""
    kinds = (WholeParameter, NumberParameter, NumbersParameter)
    return {name: parameter for name, parameter in task.get_params() if isinstance(parameter, kinds)}
