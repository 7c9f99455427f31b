"""What a reader does with damaged input: it accepts it, or it refuses it with one line."""

from __future__ import annotations

from collections.abc import Callable

from data.errors import DepthseedError


def refusal(read: Callable[..., object], *arguments) -> str | None:
    """The line with which `read` refuses its input; None if it accepts it. Every other exception passes: a defect."""
    try:
        read(*arguments)
    except DepthseedError as error:
        return str(error)
    return None
