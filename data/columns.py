"""Tables as columns of NumPy: a million rows of a few texts and numbers take some 200 MB, as objects they take 2 GB."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.dtypes import StringDType

BLOCK = 2**16
"""Rows that are Python objects at the same time."""

TEXT, JSON = "text", "json"
"""Kinds of columns besides the types of NumPy: a text, and plain data, which is kept as JSON."""

Row = dict[str, Any]
"""Name of a column -> value."""


class Columns:
    """A table in a fixed order. A row is made each time it is asked for.

    Parameters
    ----------
    kinds : dict of name -> str
        `TEXT`, `JSON`, or a type of NumPy. A comma and a number after the type mean so many values per row.
    values : dict of name -> ndarray, (N, ...)
        As `of_rows` makes them.

    Examples
    --------
    >>> kinds = {"name": TEXT, "size": "int32,2", "tags": JSON}
    >>> table = Columns.of_rows(kinds, [{"name": "a", "size": (3, 4), "tags": [1]}, {"name": "b", "size": (5, 6)}])
    >>> table.row(0), table.values["size"].tolist()
    ({'name': 'a', 'size': [3, 4], 'tags': [1]}, [[3, 4], [5, 6]])
    """

    def __init__(self, kinds: Mapping[str, str], values: Mapping[str, np.ndarray]):
        self.kinds, self.values = dict(kinds), dict(values)

    @classmethod
    def of_rows(cls, kinds: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> Columns:
        """The table of some rows, which may be a generator. A value that a row lacks is empty, or 0.

        Raises
        ------
        UnicodeEncodeError
            If a text has bytes that are no UTF-8.
        """
        rows = iter(rows)
        blocks = []
        while block := list(itertools.islice(rows, BLOCK)):
            blocks.append({name: _packed(kind, [row.get(name) for row in block]) for name, kind in kinds.items()})
        blocks = blocks or [{name: _packed(kind, []) for name, kind in kinds.items()}]
        return cls(kinds, {name: np.concatenate([block[name] for block in blocks]) for name in kinds})

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def row(self, place: int) -> Row:
        """One row; IndexError if there is none at this place."""
        return {name: _unpacked(kind, self.values[name][place]) for name, kind in self.kinds.items()}

    def rows(self, names: Sequence[str] = ()) -> Iterator[Row]:
        """All rows, in their order, with the columns `names`; empty: with all columns."""
        names = names or tuple(self.kinds)
        for block in self.blocks():
            lists = [_unpacked_block(self.kinds[name], block.values[name]) for name in names]
            for values in zip(*lists, strict=True):
                yield dict(zip(names, values, strict=True))

    def blocks(self) -> Iterator[Columns]:
        """The table in parts of at most `BLOCK` rows."""
        for start in range(0, len(self), BLOCK):
            yield self.taken(slice(start, start + BLOCK))

    def digest(self, *names: str) -> str:
        """Hash of the texts of some columns, 32 hex characters.

        Examples
        --------
        >>> table = Columns.of_rows({"name": TEXT, "more": TEXT}, [{"name": "a", "more": "b"}])
        >>> table.digest("name") == table.digest("more")
        False
        """
        found = hashlib.blake2b(digest_size=16)
        for name in names:
            for block in self.blocks():
                found.update(json.dumps(block.values[name].tolist()).encode())
        return found.hexdigest()

    def taken(self, places: np.ndarray | slice) -> Columns:
        """Some of the rows, as NumPy indexes them; a slice copies nothing."""
        return Columns(self.kinds, {name: values[places] for name, values in self.values.items()})

    def replaced(self, **values: np.ndarray) -> Columns:
        """The same rows with other columns, as those in `values` are."""
        return Columns(self.kinds, {**self.values, **values})


def _packed(kind: str, values: Any) -> np.ndarray:
    if kind == TEXT:
        return np.array([value or "" for value in values], StringDType())
    if kind == JSON:
        return np.array([json.dumps(value) if value else "" for value in values], StringDType())
    dtype, _, count = kind.partition(",")
    return np.array(values, dtype).reshape((-1, int(count)) if count else -1)


def _unpacked(kind: str, value: Any) -> Any:
    if kind == JSON:
        return json.loads(value) if value else []
    return value if kind == TEXT else value.tolist()


def _unpacked_block(kind: str, values: np.ndarray) -> list:
    found = values.tolist()
    return [json.loads(value) if value else [] for value in found] if kind == JSON else found
