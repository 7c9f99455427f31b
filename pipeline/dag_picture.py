"""A picture of the stages of a run as SVG, coloured by their state.

A layout of layers: a stage is one row below the lowest stage that it reads. In a row, a stage stands near the mean
place of what it reads (the barycentre rule of Sugiyama, Tagawa and Toda, IEEE Trans. SMC 1981, one sweep).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

BOX, GAP, LINE = (184, 46), (24, 44), 15
"""Width and height of a box, horizontal and vertical space between boxes, height of a line of text, in pixels."""

COLOURS = {"done": "#c8e6c9", "stale": "#ffe0b2", "partial": "#bbdefb", "missing": "#eeeeee", "damaged": "#ffcdd2"}
"""First word of a state -> colour. The text names the state, too."""


class Node(NamedTuple):
    """A box.

    Attributes
    ----------
    name, state, note : str
        Its two lines of text: the name; the state, and the note.
    """

    name: str
    state: str
    note: str


def rows(inputs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The rows of the picture, from top to bottom.

    Parameters
    ----------
    inputs : dict
        Key of a box -> keys of what it reads, which stand before it.

    Examples
    --------
    >>> rows({"index": [], "depth": ["index"], "keys": ["index"], "cells": ["keys", "depth"]})
    [['index'], ['depth', 'keys'], ['cells']]
    """
    level: dict[str, int] = {}
    for key, above in inputs.items():
        level[key] = 1 + max((level[name] for name in above), default=-1)
    found: list[list[str]] = [[] for _ in range(1 + max(level.values(), default=-1))]
    for key, number in level.items():
        found[number].append(key)
    place: dict[str, float] = {}
    for row in found:
        mean = {key: sum(place[name] for name in inputs[key]) / max(len(inputs[key]), 1) for key in row}
        row.sort(key=lambda key: mean[key])  # equal ones stay in the order of the run
        place |= {key: number - (len(row) - 1) / 2 for number, key in enumerate(row)}
    return found


def reduced(inputs: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The inputs without those that are also read through another input: nearly every stage reads the data set.

    Parameters
    ----------
    inputs : dict
        As of `rows`.

    Examples
    --------
    >>> reduced({"index": [], "depth": ["index"], "seeds": ["index", "depth"]})
    {'index': [], 'depth': ['index'], 'seeds': ['depth']}
    """
    above: dict[str, set[str]] = {}
    for key, names in inputs.items():
        above[key] = set(names).union(*(above[name] for name in names))
    return {
        key: [name for name in names if not any(name in above[other] for other in names)]
        for key, names in inputs.items()
    }


def dag_svg(nodes: Mapping[str, Node], inputs: Mapping[str, Sequence[str]], title: str) -> str:
    """The picture as the text of an SVG file.

    Parameters
    ----------
    nodes : dict
        Key -> box.
    inputs : dict
        Key of a box -> keys of what it reads. An arrow is drawn for each that `reduced` leaves.
    title : str
        Text above the picture.
    """
    layers, drawn = rows(inputs), reduced(inputs)
    width = max(len(row) for row in layers) * (BOX[0] + GAP[0]) + GAP[0]
    height = len(layers) * (BOX[1] + GAP[1]) + GAP[1]
    corner = {}
    for number, row in enumerate(layers):
        left = (width - len(row) * (BOX[0] + GAP[0]) + GAP[0]) / 2
        for place, key in enumerate(row):
            corner[key] = left + place * (BOX[0] + GAP[0]), GAP[1] + number * (BOX[1] + GAP[1])
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        'font-size="12">',
        f"<title>{escape(title)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#777"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{width / 2:g}" y="{LINE + 6}" text-anchor="middle">{escape(title)}</text>',
    ]
    lines += [_arrow(corner[above], corner[key]) for key, names in drawn.items() for above in names]
    lines += [_box(nodes[key], *corner[key]) for key in inputs]
    return "\n".join([*lines, "</svg>", ""])


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x0, y0), (x1, y1) = start, end
    x0, x1, y0 = x0 + BOX[0] / 2, x1 + BOX[0] / 2, y0 + BOX[1]
    bend = (y1 - y0) / 2
    return (
        f'<path d="M{x0:g},{y0:g} C{x0:g},{y0 + bend:g} {x1:g},{y1 - bend:g} {x1:g},{y1:g}" fill="none" stroke="#777" '
        'marker-end="url(#tip)"/>'
    )


def _box(node: Node, x: float, y: float) -> str:
    middle = x + BOX[0] / 2
    told = f"{node.state}, {node.note}" if node.note else node.state
    return (
        f'<g><rect x="{x:g}" y="{y:g}" width="{BOX[0]}" height="{BOX[1]}" rx="6" stroke="#555" '
        f'fill="{COLOURS[node.state.split()[0]]}"/>'
        f'<text x="{middle:g}" y="{y + 19:g}" text-anchor="middle" font-weight="bold">{escape(node.name)}</text>'
        f'<text x="{middle:g}" y="{y + 19 + LINE:g}" text-anchor="middle">{escape(told)}</text></g>'
    )
