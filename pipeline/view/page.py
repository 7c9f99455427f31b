"""What the page shows for what is set on it: plain data, which `pipeline.view.app` turns into elements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np

from data.errors import DepthseedError, SettingError
from pipeline.view.panels import (
    Changes,
    Side,
    are_labels,
    caption,
    difference,
    has_difference,
    picture,
    shown_panels,
    values,
)  # fmt: skip
from pipeline.view.ranking import chosen, ordered, page_of
from pipeline.view.run import ViewedImage, ViewedRun
from pipeline.view.scoring import Scorer, measure, measures

CAPTIONED = ("CAM seed", "initial seed", "seed, changed")
"""Panels under which the share of labelled and of right pixels stands: what is tuned."""

SORTS = {"id": "image id", "tags": "class"}
"""Orders that need no numbers: name -> title."""


@dataclass(frozen=True)
class Wish:
    """What is set on the page.

    Attributes
    ----------
    split : str
    sort : str
        ``id``, ``tags``, or one of `pipeline.view.scoring.measures`.
    descending : bool
    class_number : int or None
        Only images with this class; the IoU is then that of the class.
    text : str
        Only images with this text in their ids.
    page, size : int
        Number of the page, from 1, and images on it.
    changes : Changes
    pair : (Side, Side) or None
        What is compared.
    """

    split: str
    sort: str = "id"
    descending: bool = False
    class_number: int | None = None
    text: str = ""
    page: int = 1
    size: int = 8
    changes: Changes = Changes()
    pair: tuple[Side, Side] | None = None


@dataclass(frozen=True)
class Row:
    """One image on the page.

    Attributes
    ----------
    image_id : str
    tags : tuple of str
    number : str
        What it is sorted by, as a text; empty if there is none.
    panels : list of (title, address of the picture, caption)
    """

    image_id: str
    tags: tuple[str, ...]
    number: str
    panels: list[tuple[str, str, str]]


@dataclass(frozen=True)
class Page:
    """What the page shows.

    Attributes
    ----------
    rows : list of Row
    number, pages : int
    note : str
        How many images were chosen, how far the numbers are, and what could not be read.
    is_working : bool
        True while numbers are computed.
    """

    rows: list[Row]
    number: int
    pages: int
    note: str
    is_working: bool


def page(run: ViewedRun, scorer: Scorer, wish: Wish) -> Page:
    """The page for a wish. It is made from the images on it alone; SettingError if the wish cannot be met."""
    samples = run.samples(wish.split)
    places = chosen(samples, run.tag_sets(wish.split), wish.class_number, wish.text)
    keys, note, left = None, f"{len(places)} of {len(samples)} images", 0
    if wish.sort == "tags":
        keys = run.tag_sets(wish.split)[1]
    elif wish.sort in measures(run, wish.split, wish.pair):
        function = measure(run, wish.split, wish.sort, wish.changes, wish.pair, wish.class_number)
        uses_changes = (repr(wish.changes), wish.pair) if wish.sort == "disagreement" else ()
        key = (wish.split, wish.sort, wish.class_number, uses_changes)
        scores = scorer.ask(key, len(samples), lambda place: function(run.image(wish.split, place)), places)
        keys, left = np.array(scores.values), scores.left(places)
        note += f"; {len(places) - left} of them are measured, the rest comes last" if left else ""
        if scores.errors:
            note += f"; {len(scores.errors)} could not be read: {scores.errors[0]}"
    shown, number, pages = page_of(ordered(places, keys, wish.descending), wish.page, wish.size)
    rows = [_row(run, wish, place, keys if wish.sort not in SORTS else None) for place in shown]
    return Page(rows, number, pages, note, left > 0)


def _row(run: ViewedRun, wish: Wish, place: int, keys: np.ndarray | None) -> Row:
    image = run.image(wish.split, place)
    names = run.dataset.class_names
    known = keys is not None and np.isfinite(keys[place])
    number = f"{keys[place]:.3g}" + ("" if wish.sort == "loss" else " %") if keys is not None and known else ""
    panels = [
        (title, address(image, Side(title), wish.changes), _caption(image, title, wish.changes))
        for title in shown_panels(image, wish.changes)
    ]
    if wish.pair:
        panels += _compared(image, wish.pair, wish.changes)
    return Row(image.sample.image_id, tuple(names[tag] for tag in image.sample.tags), number, panels)


def _caption(image: ViewedImage, title: str, changes: Changes) -> str:
    if title not in CAPTIONED:
        return ""
    try:
        truth = values(image, Side("ground truth"), changes) if image.sample.truth else None
        return caption(values(image, Side(title), changes), truth)
    except DepthseedError:
        return "cannot be read"  # the picture has the line


def _compared(image: ViewedImage, pair: tuple[Side, Side], changes: Changes) -> list[tuple[str, str, str]]:
    panels = [
        (f"{name}: {side.title}, {side.identity}", address(image, side, changes), "")
        for name, side in zip("AB", pair)
        if side.identity
    ]
    if has_difference(*pair):
        red = "red: A and B differ" if are_labels(*pair) else "difference of A and B"
        panels.append((red, address(image, pair[0], changes, pair[1]), ""))
    return panels


def address(image: ViewedImage, side: Side, changes: Changes, other: Side | None = None) -> str:
    """Address of a picture: a panel, or the difference between two sides. Only what it depends on is in it."""
    query: dict[str, Any] = {"side": str(side)}
    if other:
        query["other"] = str(other)
    titles = {found.title for found in (side, other) if found}
    if "CAM seed" in titles:
        query["threshold"] = changes.threshold
    if "seed, changed" in titles:
        query |= changes.seed
    return f"/picture/{quote(image.split)}/{image.place}?{urlencode(query)}"


def wished_picture(run: ViewedRun, split: str, place: int, query: Mapping[str, str]) -> np.ndarray:
    """The picture of an address, (H, W, 3) uint8.

    Raises
    ------
    DepthseedError
        If the address names nothing that is there, a value is not legal, or an artifact is damaged.
    """
    image, side = run.image(split, place), Side.of(query.get("side", ""))
    seed = {name: number_of(name, query[name]) for name in run.seed_parameters() if name in query}
    changes = Changes(number_of("threshold", query.get("threshold", Changes().threshold)), seed)
    if "other" in query:
        return difference(image, side, Side.of(query["other"]), changes)
    return picture(image, side, changes)


def number_of(name: str, text: object) -> float:
    """A number that the browser has sent; SettingError if it is none."""
    try:
        found = float(str(text))
    except ValueError:
        found = float("nan")
    if not np.isfinite(found):
        raise SettingError(f"{name} is {text!r:.40}; give a number")
    return found
