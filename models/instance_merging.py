"""Regions of one object are put together: across weak borders, into containers, and behind what stands before them.

`models.instances` cuts at concave edges. This leaves one object in parts if its depth is ragged, if it is hollow (the
inside of a can), or if another object divides it. All three rules are ours.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from skimage.draw import polygon2mask

CONTACT = 0.025
"""Metres: a border with the plane that is lower than this is where an object stands."""

LEAST_CONTACT = 0.08
"""Share of the outline that a part must have in contact with the plane to be an object of its own."""

FULL = 0.92
"""Share of the convex hull that an object fills with its inside."""

LEVEL = 0.01
"""Metres by which the inside of a container may be higher than its rim."""

NEARER = 0.7
"""Share of the space between two parts of an object that must be hidden, by something nearer or by a hole."""

LEAST_SHARED = 0.2
"""Common border of container and inside, relative to the circumference of a disk as large as the smaller one."""


@dataclass(frozen=True)
class Scene:
    """What the rules need to know, all (H, W).

    Attributes
    ----------
    inverse : ndarray, float, 1/m
    valid : ndarray, bool
    height : ndarray, float, metres
        Above the support plane.
    plane : ndarray, bool
        Measured pixels that stand on nothing.
    noise : float, 1/m
        Of the inverse depth.
    """

    inverse: np.ndarray
    valid: np.ndarray
    height: np.ndarray
    plane: np.ndarray
    noise: float


def border_strengths(regions: np.ndarray, strength: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """The strength at each pair of pixels where two regions touch: (smaller, larger number) -> values.

    Examples
    --------
    >>> border_strengths(np.array([[1, 1, 2]]), np.array([[0.0, 0.5, 0.25]]))
    {(1, 2): array([0.5])}
    """
    firsts, seconds, values = [], [], []
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        touch = (regions[here] != regions[there]) & (regions[here] > 0) & (regions[there] > 0)
        firsts.append(np.minimum(regions[here], regions[there])[touch])
        seconds.append(np.maximum(regions[here], regions[there])[touch])
        values.append(np.maximum(strength[here], strength[there])[touch])
    first, second, value = map(np.concatenate, (firsts, seconds, values))
    if not len(value):
        return {}
    order = np.lexsort((second, first))
    pairs = np.stack([first, second], 1)[order]
    starts = np.flatnonzero(np.r_[True, np.any(pairs[1:] != pairs[:-1], axis=1)])
    parts = np.split(value[order], starts[1:])
    return {(int(a), int(b)): part for (a, b), part in zip(pairs[starts].tolist(), parts, strict=True)}


def merge_weak(regions: np.ndarray, strength: np.ndarray, small: float) -> np.ndarray:
    """Merge regions whose common border is weak, and small regions into the neighbour with the weakest border.

    Parameters
    ----------
    regions : ndarray, (H, W), integer
        0 = none.
    strength : ndarray, (H, W), float
        Of edges; 1 is the limit. The median along a border counts.
    small : float
        Regions with fewer pixels are merged in any case.

    Returns
    -------
    ndarray, (H, W), same numbers
    """
    borders = border_strengths(regions, strength)
    sizes = dict(enumerate(np.bincount(regions.ravel()).tolist()))
    into = np.arange(len(sizes))
    medians = {pair: float(np.median(values)) for pair, values in borders.items()}
    while medians:
        # Small regions first, the weakest border first.
        pair = min(medians, key=lambda p: (min(sizes[p[0]], sizes[p[1]]) >= small, medians[p], p))
        if medians[pair] >= 1 and min(sizes[pair[0]], sizes[pair[1]]) >= small:
            break
        kept, gone = pair
        into[into == gone] = kept
        sizes[kept] += sizes.pop(gone)
        del medians[pair], borders[pair]
        for other in [p for p in borders if gone in p]:
            neighbour = other[0] if other[1] == gone else other[1]
            joined = (min(kept, neighbour), max(kept, neighbour))
            values = np.concatenate([borders.pop(other), *([borders[joined]] if joined in borders else [])])
            del medians[other]
            borders[joined], medians[joined] = values, float(np.median(values))
    return into[regions]


def merge_containers(regions: np.ndarray, scene: Scene) -> np.ndarray:
    """Merge the inside of a container (a can, a cup, a bowl) with its outside.

    The inside has no contact with the plane, is not higher than the rim, and fills the convex hull together with the
    outside. What is hidden by something nearer, or not measured, does not count as part of the hull.

    Parameters
    ----------
    regions : ndarray, (H, W), integer
        0 = none.
    scene : Scene

    Returns
    -------
    ndarray, (H, W), same numbers
    """
    refused: set[tuple[int, int, int, int]] = set()
    while True:
        sizes = np.bincount(regions.ravel())
        standing = _contact(regions, scene, len(sizes))
        best: tuple[float, int, int] | None = None
        for (a, b), shared in border_strengths(_grown(regions), scene.height).items():
            key = (a, b, int(sizes[a]), int(sizes[b]))
            if key in refused or len(shared) < LEAST_SHARED * 2 * np.sqrt(np.pi * min(sizes[a], sizes[b])):
                continue
            outer, inner = (a, b) if standing[a] >= standing[b] else (b, a)
            if standing[inner] > LEAST_CONTACT or _top(regions, outer, scene) + LEVEL < _top(regions, inner, scene):
                continue
            filled = _filled(regions, (a, b), scene)
            if filled > FULL and (best is None or filled > best[0]):
                best = filled, a, b
            elif filled <= FULL:
                refused.add(key)
        if best is None:
            return regions
        regions = np.where(regions == best[2], best[1], regions)


def merge_hidden(regions: np.ndarray, scene: Scene) -> np.ndarray:
    """Merge the parts of one flat surface that something nearer divides, such as a box behind a bottle.

    Both parts lie on one plane within twice the noise, and `NEARER` of the rest of their common hull is hidden.

    Parameters
    ----------
    regions : ndarray, (H, W), integer
        0 = none.
    scene : Scene

    Returns
    -------
    ndarray, (H, W), same numbers
    """
    points = {number: found for number in _numbers(regions) if (found := _flat(regions == number, scene)) is not None}
    touching = set(border_strengths(_grown(regions), scene.height))
    gone: dict[int, int] = {}
    for a, b in itertools.combinations(sorted(points), 2):
        if a in gone or b in gone or (a, b) in touching:
            continue
        places, values = (np.concatenate(both) for both in zip(points[a], points[b]))
        weights = np.concatenate([np.full(len(points[n][1]), len(points[n][1]) ** -0.5) for n in (a, b)])
        plane = np.linalg.lstsq(places * weights[:, None], values * weights, rcond=None)[0]
        if max(_off(points[n], plane) for n in (a, b)) > 2 * scene.noise:
            continue
        both = (regions == a) | (regions == b)
        between = _hull(both) & ~both
        rows, columns = np.nonzero(between)
        on_plane = np.column_stack([columns, rows, np.ones(len(rows))]) @ plane
        hidden = ~scene.valid[between] | (scene.inverse[between] > on_plane + 3 * scene.noise)
        if len(rows) and hidden.mean() > NEARER:
            regions, gone[b], points[a] = np.where(both, a, regions), a, (places, values)
    return regions


def _numbers(regions: np.ndarray) -> list[int]:
    return [number for number in np.unique(regions).tolist() if number]


def _grown(regions: np.ndarray) -> np.ndarray:
    """The regions, one pixel larger where nothing is, so that those with a gap of two pixels touch."""
    return np.where(regions > 0, regions, ndimage.grey_dilation(regions, 3))


def _contact(regions: np.ndarray, scene: Scene, count: int) -> np.ndarray:
    """Share of the outline of each region that is in contact with the plane, (count,)."""
    low = ndimage.binary_dilation(scene.plane, iterations=2) & (scene.height < CONTACT) & (regions > 0)
    outline = (regions > 0) & (ndimage.grey_erosion(regions, 3) != ndimage.grey_dilation(regions, 3))
    contact, length = (np.bincount(regions[mask], minlength=count) for mask in (low, outline))
    return contact / np.maximum(length, 1)


def _top(regions: np.ndarray, number: int, scene: Scene) -> float:
    heights = scene.height[(regions == number) & scene.valid]
    return float(np.percentile(heights, 95)) if len(heights) else 0.0


def _filled(regions: np.ndarray, pair: tuple[int, int], scene: Scene) -> float:
    """Share of the convex hull of two regions that they fill; hidden and unmeasured pixels do not count."""
    both = ndimage.binary_fill_holes((regions == pair[0]) | (regions == pair[1]))
    nearer = (regions > 0) & ~both & (scene.inverse > np.median(scene.inverse[both]))
    counted = both | (_hull(both) & scene.valid & ~nearer)
    return float(both.sum() / counted.sum())


def _hull(mask: np.ndarray) -> np.ndarray:
    """Convex hull of a mask, (H, W) bool."""
    rows, columns = np.nonzero(mask & ~ndimage.binary_erosion(mask, border_value=0))
    corners = np.concatenate([np.column_stack([rows + y, columns + x]) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
    try:
        return polygon2mask(mask.shape, corners[ConvexHull(corners).vertices]) | mask
    except QhullError:
        return mask


def _flat(mask: np.ndarray, scene: Scene) -> tuple[np.ndarray, np.ndarray] | None:
    """Places (u, v, 1) and inverse depths of the inside of a region; None if it is small or not flat."""
    rows, columns = np.nonzero(ndimage.binary_erosion(mask, iterations=2) & scene.valid)
    if len(rows) < 50:
        return None
    places, values = np.column_stack([columns, rows, np.ones(len(rows))]), scene.inverse[rows, columns]
    plane = np.linalg.lstsq(places, values, rcond=None)[0]
    return (places, values) if _off((places, values), plane) < 3 * scene.noise else None


def _off(points: tuple[np.ndarray, np.ndarray], plane: np.ndarray) -> float:
    return 1.4826 * float(np.median(np.abs(points[0] @ plane - points[1])))
