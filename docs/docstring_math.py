"""Extension of griffe: formulas of docstrings (``.. math::``, ``:math:``) in the dollars of the Markdown pages."""

from __future__ import annotations

import re
from typing import Any

import griffe

BLOCK = re.compile(r"^\.\. math::[ \n]*(.+?)(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r":math:`(.+?)`")


def with_dollars(text: str) -> str:
    r"""The text of a docstring with formulas in dollars.

    Examples
    --------
    >>> with_dollars("Energy.\n\n.. math:: E =\n   mc^2\n\nWith :math:`c`.")
    'Energy.\n\n$$E = mc^2$$\n\nWith $c$.'
    """
    joined = BLOCK.sub(lambda found: f"$${' '.join(found[1].split())}$$", text)
    return INLINE.sub(r"$\1$", joined)


class DocstringMath(griffe.Extension):
    """Rewrites each docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = with_dollars(obj.docstring.value)
