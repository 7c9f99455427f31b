"""Registries name what they hold by import path, so that a command line knows the choices before torch is loaded."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pkgutil import resolve_name
from typing import Any


def load(registry: Mapping[str, str], name: str) -> Any:
    """The class or function that a registry has under a name.

    Parameters
    ----------
    registry : dict of name -> import path
        Paths are written ``package.module:Class``.
    name : str

    Raises
    ------
    ValueError
        If the registry does not have the name; the message lists the nearest names.

    Examples
    --------
    >>> load({"gap": "models.cam.gap:GapClassifier"}, "gap").__name__
    'GapClassifier'
    >>> load({"gap": "models.cam.gap:GapClassifier"}, "gapp")
    Traceback (most recent call last):
    ValueError: 'gapp' is unknown; did you mean: gap?
    """
    if name not in registry:
        near = difflib.get_close_matches(name, registry, n=3)
        raise ValueError(f"'{name}' is unknown; " + (f"did you mean: {', '.join(near)}?" if near else _known(registry)))
    return resolve_name(registry[name])


def _known(names: Iterable[str]) -> str:
    return f"use one of: {', '.join(sorted(names))}"


def export(paths: Iterable[str], package: str, name: str) -> Any:
    """What ``from package import name`` gives, for a package whose modules are imported on demand (PEP 562).

    Raises
    ------
    AttributeError
        If no path ends with the name.
    """
    for path in paths:
        if path.endswith(f":{name}"):
            return resolve_name(path)
    raise AttributeError(f"module '{package}' has no attribute '{name}'")
