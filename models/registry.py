"""Look-up in registries that name classes by import path.

A registry of import paths tells the command line its choices without loading torch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pkgutil import resolve_name
from typing import Any


def load(registry: Mapping[str, str], name: str) -> Any:
    """The class or function that a registry has under a name.

    Parameters
    ----------
    registry : mapping of name -> import path
        Paths have the form ``package.module:Class``.
    name : str

    Raises
    ------
    ValueError
        If the registry does not have the name. The message lists the nearest names.

    Examples
    --------
    >>> heads = {"gap": "models.cam.gap:GapClassifier"}
    >>> load(heads, "gap").__name__
    'GapClassifier'
    >>> load(heads, "gapp")
    Traceback (most recent call last):
    ValueError: 'gapp' is unknown; did you mean: gap?
    """
    if name not in registry:
        near = difflib.get_close_matches(name, registry, n=3)
        advice = f"did you mean: {', '.join(near)}?" if near else f"use one of: {', '.join(sorted(registry))}"
        raise ValueError(f"'{name}' is unknown; {advice}")
    return resolve_name(registry[name])


def export(paths: Iterable[str], package: str, name: str) -> Any:
    """The object that ``from package import name`` gives, for the module-level ``__getattr__`` of a package (PEP 562).

    The module of the object is imported on demand.

    Parameters
    ----------
    paths : iterable of str
        Import paths of all objects that the package exports.
    package, name : str

    Raises
    ------
    AttributeError
        If no path ends with the name.

    Examples
    --------
    >>> export(["models.cam.gap:GapClassifier"], "models.cam", "GapClassifier").__module__
    'models.cam.gap'
    """
    for path in paths:
        if path.endswith(f":{name}"):
            return resolve_name(path)
    raise AttributeError(f"module '{package}' has no attribute '{name}'")
