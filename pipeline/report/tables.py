"""Tables as text: CSV for machines, Markdown for documents."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Comma-separated lines under a header line; None is an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


def markdown_text(names: Sequence[str], columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. The cells of `names` are aligned to the left, those of `columns` to the right."""
    lines = [[*names, *columns], *rows]
    head, *body = (f"| {' | '.join(cells)} |" for cells in lines)
    return "\n".join([head, f"|{'---|' * len(names)}{'---:|' * len(columns)}", *body]) + "\n"
