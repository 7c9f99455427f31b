"""The report page from plain data. Every name in it is escaped."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined


def render_page(content: Mapping[str, object], template: str = "page.html") -> str:
    """One HTML page that needs no other file.

    Parameters
    ----------
    content : dict
        The variables of the template.
    template : str
        ``page.html`` (one run) or ``comparison.html`` (variants side by side).

    Raises
    ------
    jinja2.UndefinedError
        If a variable is missing.
    """
    environment = Environment(
        loader=PackageLoader("pipeline.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(template).render(content)
