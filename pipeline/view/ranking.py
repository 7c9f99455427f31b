"""The list of images: which are chosen, in which order, and which part of them is on a page. All on the server."""

from __future__ import annotations

import json

import numpy as np

from data.sample import Samples

TagSets = tuple[list[tuple[int, ...]], np.ndarray]
"""The different sets of tags, sorted, and which of them each image has, (N,) int64."""


def chosen(samples: Samples, tags: TagSets, class_number: int | None = None, text: str = "") -> np.ndarray:
    """Positions of the images with a class among their tags and a text in their ids, in the order of the split.

    Parameters
    ----------
    samples : Samples
    tags : TagSets
        Of the samples (`tag_sets`).
    class_number : int, optional
        1..K; None: images with any tags.
    text : str
        Part of an id; empty: all ids.

    Returns
    -------
    ndarray, (M,), int64
    """
    keep = np.ones(len(samples), bool)
    if class_number is not None:
        sets, place = tags
        keep &= np.array([class_number in found for found in sets], bool)[place]
    if text:
        keep &= np.strings.find(samples.table.values["image_id"], text) >= 0
    return np.flatnonzero(keep)


def tag_sets(samples: Samples) -> TagSets:
    """The tags of some images."""
    texts, place = np.unique(samples.table.values["tags"], return_inverse=True)
    sets = [tuple(json.loads(text or "[]")) for text in texts.tolist()]
    order = sorted(range(len(sets)), key=sets.__getitem__)
    rank = np.empty(len(sets), np.int64)
    rank[order] = np.arange(len(sets))
    return [sets[number] for number in order], rank[place]


def ordered(places: np.ndarray, keys: np.ndarray | None, descending: bool = False) -> np.ndarray:
    """Positions sorted by a value of each; equal ones keep their order, and those without a value come last.

    Parameters
    ----------
    places : ndarray, (M,), integer
    keys : ndarray, (N,), float, optional
        A value for each position; NaN = none. None: the order of `places`.
    descending : bool

    Examples
    --------
    >>> ordered(np.array([0, 1, 2, 3]), np.array([0.5, np.nan, 0.9, 0.5]), descending=True).tolist()
    [2, 0, 3, 1]
    """
    if keys is None:
        return places[::-1] if descending else places
    wanted = keys[places]
    return places[np.argsort(-wanted if descending else wanted, kind="stable")]  # NumPy sorts NaN to the end


def page_of(places: np.ndarray, number: int, size: int) -> tuple[list[int], int, int]:
    """A page of a list.

    Parameters
    ----------
    places : ndarray, (M,)
    number : int
        Page, from 1. One that does not exist becomes the nearest that does.
    size : int
        Images on a page.

    Returns
    -------
    list of int
        The positions on the page.
    int, int
        Its number, and the number of pages (at least 1).

    Examples
    --------
    >>> page_of(np.arange(5), 9, 2)
    ([4], 3, 3)
    """
    pages = max(1, -(-len(places) // size))
    number = min(max(number, 1), pages)
    return places[(number - 1) * size : number * size].tolist(), number, pages
