"""Charts of the report as inline SVG, and the shares of the confusion matrix."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.figure
import numpy as np

STYLE: Any = {"svg.hashsalt": "depthseed", "font.size": 8, "svg.fonttype": "none"}


def curves_svg(history: Sequence[Mapping[str, float]]) -> str:
    """Curves of a training history, one panel per value, as an inline SVG. The same history gives the same text.

    Parameters
    ----------
    history : sequence of dict of name -> float
        One dict per epoch.
    """
    names = sorted(history[0]) if history else []
    with matplotlib.rc_context(STYLE):
        figure = matplotlib.figure.Figure(figsize=(max(2.4 * len(names), 2.4), 1.9), layout="constrained")
        for number, name in enumerate(names, start=1):
            axes = figure.add_subplot(1, len(names), number)
            axes.plot(np.arange(1, len(history) + 1), [epoch[name] for epoch in history], marker=".", color="#2563eb")
            axes.set_title(name.replace("_", " "))
            axes.set_xlabel("epoch")
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
            locator: Any = axes.xaxis.get_major_locator()
            locator.set_params(integer=True)
        return _svg(figure)


def bars_svg(values: Mapping[str, Sequence[float]], unit: str) -> str:
    """One bar per name as high as the mean of its values, with a dot for each value, as an inline SVG."""
    with matplotlib.rc_context(STYLE):
        figure = matplotlib.figure.Figure(figsize=(max(1.1 * len(values), 2.4), 2.4), layout="constrained")
        axes = figure.add_subplot()
        for place, numbers in enumerate(values.values()):
            axes.bar(place, np.mean(numbers) if numbers else 0.0, width=0.6, color="#bfd3fb")
            axes.plot([place] * len(numbers), numbers, ".", color="#2563eb")
            if numbers:
                axes.annotate(f"{np.mean(numbers):.1f}", (place, np.mean(numbers)), ha="center", va="bottom")
        # A name of the user may have dollar signs, which are no formula.
        axes.set_xticks(range(len(values)), [name.replace(", ", "\n") for name in values], parse_math=False)
        axes.set_ylabel(unit)
        axes.spines[["top", "right"]].set_visible(False)
        return _svg(figure)


def lines_svg(panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], axes_titles: Mapping[str, str]) -> str:
    """One panel per title, with one line per name through its points (x, y), as an SVG.

    `axes_titles` has the title of the x axis of each panel.
    """
    with matplotlib.rc_context(STYLE):
        figure = matplotlib.figure.Figure(figsize=(2.6 * len(panels), 2.6), layout="constrained")
        for number, (title, lines) in enumerate(panels.items(), start=1):
            axes = figure.add_subplot(1, len(panels), number)
            for name, points in lines.items():
                axes.plot(*zip(*sorted(points)), marker=".", label=name)
            axes.set_title(title)
            axes.set_xlabel(axes_titles[title])
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
        return _svg(figure)


def _svg(figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = "<svg" + buffer.getvalue().partition("<svg")[2]
    return re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)


def confusion_shares(confusion: Sequence[Sequence[int]]) -> list[list[float]]:
    """A confusion matrix in percent of each row; 0 for a class without pixels."""
    counts = np.asarray(confusion, np.float64)
    totals = counts.sum(1, keepdims=True)
    return (100 * counts / np.where(totals > 0, totals, 1)).tolist()
