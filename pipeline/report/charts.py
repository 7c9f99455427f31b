"""Loss curves and confusion matrix."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence

import matplotlib.figure
import numpy as np


def curves_svg(history: Sequence[Mapping[str, float]]) -> str:
    """Each value of a training history over its epochs, as an inline SVG without ids that change."""
    names = sorted(history[0]) if history else []
    with matplotlib.rc_context({"svg.hashsalt": "depthseed", "font.size": 8, "svg.fonttype": "none"}):
        figure = matplotlib.figure.Figure(figsize=(max(2.4 * len(names), 2.4), 1.9), layout="constrained")
        for number, name in enumerate(names, start=1):
            axes = figure.add_subplot(1, len(names), number)
            axes.plot(np.arange(1, len(history) + 1), [epoch[name] for epoch in history], marker=".", color="#2563eb")
            axes.set_title(name.replace("_", " "))
            axes.set_xlabel("epoch")
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
            axes.xaxis.get_major_locator().set_params(integer=True)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = "<svg" + buffer.getvalue().partition("<svg")[2]
    return re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)


def confusion_shares(confusion: Sequence[Sequence[int]]) -> list[list[float]]:
    """Rows of a confusion matrix in percent of the row; 0 for a class without pixels."""
    counts = np.asarray(confusion, np.float64)
    totals = counts.sum(1, keepdims=True)
    return (100 * counts / np.where(totals > 0, totals, 1)).tolist()
