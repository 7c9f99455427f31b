"""Merging of classes: a CSV file says which category a class belongs to, and the set is read with the categories."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.errors import DatasetError
from data.files.text_file import read_text
from data.sample import BACKGROUND


@dataclass(frozen=True)
class Merging:
    """How the classes of a set are merged.

    Attributes
    ----------
    names : tuple of str
        Names of the categories, number 0 first.
    numbers : tuple of int
        The category of each class 0..K.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]

    @property
    def member(self) -> str:
        """What a label map of the encoding ``merged`` needs (`data.files.encodings`)."""
        return ",".join(map(str, self.numbers))


def category_table(table: Path) -> dict[str, str]:
    """The rows of a CSV file with the columns ``class,category``: class -> category.

    Raises
    ------
    DatasetError
        If the file is missing or malformed, lists a class twice, or a category has a name that no class can have.
    """
    if not table.exists():
        raise DatasetError(f"{table}: file is missing; --IndexDataset-merge must name a CSV file class,category")
    found: dict[str, str] = {}
    try:
        rows = [row for row in csv.reader(io.StringIO(read_text(table), newline=""), strict=True) if row]
    except csv.Error as error:
        raise DatasetError(f"{table}: is malformed ({error}); correct its quotes") from error
    if not rows or [cell.strip() for cell in rows[0]] != ["class", "category"]:
        raise DatasetError(f"{table}: needs the header line class,category")
    for row in rows[1:]:
        name, category = ([cell.strip() for cell in row] + ["", ""])[:2]
        if len(row) != 2 or not category or "|" in category or len(category.split()) > 1:
            raise DatasetError(f"{table}: '{','.join(row)}' is not a class and a category without a space or '|'")
        if name in found:
            raise DatasetError(f"{table}: lists the class '{name}' twice; remove a line")
        found[name] = category
    return found


def read_merging(table: Path, class_names: Sequence[str]) -> Merging:
    """How a CSV file merges classes. A class that it does not list is a category of its own.

    Parameters
    ----------
    table : Path
        As of `category_table`.
    class_names : sequence of str
        Names of the classes 0..K. Class 0 stays as it is.

    Raises
    ------
    DatasetError
        As `category_table`, and if the file names an unknown class, or class 0.
    """
    category_of = category_table(table)
    for name, category in category_of.items():
        if name not in class_names[1:] or category == class_names[BACKGROUND]:
            raise DatasetError(
                f"{table}: '{name},{category}' is no class of the set with a category besides "
                f"'{class_names[BACKGROUND]}'; correct this line"
            )
    categories = [category_of.get(name, name) for name in class_names]
    names = tuple(dict.fromkeys(categories))
    return Merging(names, tuple(map(names.index, categories)))
