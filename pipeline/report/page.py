"""The report page from plain data; every name in it is escaped."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined


def render_page(content: Mapping[str, object]) -> str:
    """One self-contained HTML page.

    Parameters
    ----------
    content : dict
        The variables of ``page.html``.
    """
    environment = Environment(
        loader=PackageLoader("pipeline.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("page.html").render(content)
