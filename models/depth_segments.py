"""Segments of an image that end at depth edges (ours). Superpixels that use depth do not cross them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.filters import sobel
from skimage.segmentation import watershed

from models.depth_edges import inverse_depth, inverse_depth_curvature
from models.depth_noise import depth_noise
from models.standing import plane_inverse, plane_places

INVERSE_DEPTH_STEP = 0.15
"""Gradient of inverse depth, in 1/m per pixel, with the same weight as `COLOUR_STEP` of colour."""

COLOUR_STEP = 20.0
"""Gradient of CIELAB colour per pixel."""

LARGEST_CELL = 4
"""Pixels. Inverse depth is averaged over cells before its second differences, to reduce sensor noise."""

CELLS_ALONG = 80
"""Least number of cells along the longer side: in a small image, cells of `LARGEST_CELL` would hide small objects."""

EDGE_FACTOR = 2.5
"""Second differences above this multiple of their noise are depth edges."""

LEAST_EDGE = 0.006
"""Smallest step in depth that is an edge, in metres. Below it there is the curvature of round objects, too."""

SMALLEST_NUMBER = 1e-6
"""Of 1/m; where nothing is measured, the threshold would be 0."""

ON_PLANE, ABOVE_PLANE = 2.5, 4.0
"""How far a cell of the support plane may be from it, and from where on a cell stands above it, in units of the noise
of second differences. That is some 2.5 times the noise of a cell."""

SMALLEST_HOLE = 5e-4
"""Share of the image from which a region without depth is a segment. Smaller holes are filled."""


class SurfaceCells(NamedTuple):
    """Inverse depth of an image in square cells of `cell_side` pixels.

    Attributes
    ----------
    inverse : ndarray, float32, 1/m
        Mean of the measured pixels; 0 where there is none.
    known : ndarray, bool
        Cells with a measured pixel.
    curvature : ndarray, float32, 1/m
        Second differences between neighbouring cells (`models.depth_edges.inverse_depth_curvature`); NaN where
        unknown.
    noise : ndarray, float32, 1/m
        Of the curvature (`models.depth_noise.depth_noise`).
    """

    inverse: np.ndarray
    known: np.ndarray
    curvature: np.ndarray
    noise: np.ndarray


def cell_side(shape: tuple[int, ...]) -> int:
    """Pixels along a cell in an image of a shape (height, width).

    Examples
    --------
    >>> cell_side((480, 640)), cell_side((240, 320)), cell_side((144, 192)), cell_side((48, 64))
    (4, 4, 2, 1)
    """
    return min(LARGEST_CELL, max(1, max(shape) // CELLS_ALONG))


def surface_cells(depth: np.ndarray, valid: np.ndarray) -> SurfaceCells:
    """Inverse depth, its second differences and their noise.

    Parameters
    ----------
    depth : ndarray, (H, W), float, metres
    valid : ndarray, (H, W), bool
    """
    metres, measured = (torch.from_numpy(np.ascontiguousarray(values))[None, None] for values in (depth, valid))
    inverse, known = inverse_depth(metres.float(), measured, cell_side(depth.shape))
    curvature, seen = inverse_depth_curvature(inverse, known, reach=1)
    noise = depth_noise(curvature, inverse, seen)
    found = (inverse, known, curvature.where(seen, torch.nan), noise)
    return SurfaceCells(*(values[0, 0].numpy() for values in found))


def depth_segments(
    curvature: np.ndarray, threshold: np.ndarray | float, above: np.ndarray | None = None, smallest: int = 3
) -> np.ndarray:
    """Regions between depth edges.

    Connected cells below the threshold form regions. Then the regions grow (watershed) until they meet on the edges.
    No region holds both cells above the support plane and others, when it begins to grow.
    Second differences of inverse depth are 0 on every plane and large at silhouettes and at contact creases. So a
    tilted table is one region and an object on it is another one.

    Parameters
    ----------
    curvature : ndarray, (h, w), float, 1/m
        As of `SurfaceCells`. NaN counts as no edge.
    threshold : ndarray, (h, w), or float
        1/m from which a cell is an edge.
    above : ndarray, (h, w), bool, optional
        From `plane_cells`.
    smallest : int
        Regions with fewer cells are merged into their neighbours.

    Returns
    -------
    ndarray, (h, w), int64
        Numbered from 0 without gaps.

    Examples
    --------
    >>> curvature = np.zeros((3, 9))
    >>> curvature[:, 4] = 0.1  # an edge between two surfaces
    >>> depth_segments(curvature, threshold=0.02)[0].tolist()
    [0, 0, 0, 0, 0, 1, 1, 1, 1]
    """
    strength = np.nan_to_num(curvature.astype(np.float64)) / threshold
    markers, count = ndimage.label((strength < 1) if above is None else (strength < 1) & ~above)
    if above is not None:
        standing, _ = ndimage.label((strength < 1) & above)
        markers = np.where(standing > 0, count + standing, markers)
    sizes = np.bincount(markers.ravel())
    markers[(sizes < smallest)[markers]] = 0
    if not markers.any():
        return np.zeros(curvature.shape, np.int64)
    return np.unique(watershed(strength, markers), return_inverse=True)[1].reshape(curvature.shape).astype(np.int64)


class PlaneCells(NamedTuple):
    """Where the cells of an image are, relative to the support plane, arrays of the shape of `SurfaceCells`.

    Attributes
    ----------
    above : ndarray, bool
        Cells that stand above the plane by more than the noise, as most of the known cells around them do.
    on : ndarray, bool
        Cells that are on the plane, within the noise. False where nothing is known.
    """

    above: np.ndarray
    on: np.ndarray


def plane_cells(cells: SurfaceCells, seed: int = 0) -> PlaneCells:
    """Cells above the support plane, and cells on it.

    Second differences miss what is flat and thin: a book, a pen. Its height over the plane shows it.

    Parameters
    ----------
    cells : SurfaceCells
    seed : int
        Of the search for the plane.

    Returns
    -------
    PlaneCells
        False everywhere if there is no plane.
    """
    level = float(np.median(cells.noise))
    plane = plane_inverse(cells.inverse.astype(np.float64), cells.known, ON_PLANE * level, seed) if level > 0 else None
    if plane is None:
        return PlaneCells(*np.zeros((2, *cells.known.shape), bool))
    over = cells.inverse - plane_places(cells.known.shape) @ plane
    above = cells.known & (over > ABOVE_PLANE * cells.noise)
    votes = ndimage.uniform_filter(np.stack([above, cells.known]).astype(np.float32), size=(1, 3, 3))
    on = cells.known & (np.abs(over) <= ABOVE_PLANE * cells.noise)
    return PlaneCells(cells.known & (votes[0] > 0.5 * votes[1]), on)


def missing_regions(valid: np.ndarray) -> np.ndarray:
    """Numbers of the large connected regions without depth, 0 elsewhere.

    Missing depth is no surface: it is glass, black plastic, the shadow of a border, or what is out of range.

    Parameters
    ----------
    valid : ndarray, (H, W), bool
        Measured pixels.

    Returns
    -------
    ndarray, (H, W), int32

    Examples
    --------
    >>> valid = np.ones((40, 40), bool)
    >>> valid[10:20, 10:20] = valid[30, 30] = False
    >>> regions = missing_regions(valid)
    >>> int(regions[15, 15]), int(regions[30, 30])
    (1, 0)
    """
    # The opening takes thin lines and the speckle of borders away, and divides what hangs together by a thread.
    regions, _ = ndimage.label(ndimage.binary_opening(~valid, iterations=max(1, cell_side(valid.shape) // 2)))
    large = np.bincount(regions.ravel()) >= SMALLEST_HOLE * valid.size
    return np.where(large[regions], regions, 0)


class Surfaces(NamedTuple):
    """What depth says of the pixels of an image.

    Attributes
    ----------
    segments : ndarray, (H, W), int64
        Numbered from 0 without gaps. One segment if nothing is measured.
    on_plane : ndarray, (H, W), bool
        Pixels on the support plane, in whole cells.
    """

    segments: np.ndarray
    on_plane: np.ndarray


def surfaces_of(
    image: np.ndarray,
    depth: np.ndarray,
    valid: np.ndarray,
    edge_factor: float = EDGE_FACTOR,
    least_edge: float = LEAST_EDGE,
    with_plane: bool = True,
    with_holes: bool = True,
) -> Surfaces:
    """Depth segments and the support plane of an image at pixel resolution.

    Regions between depth edges (`depth_segments`) are enlarged, and their borders are refined by colour
    (`refine_segments`). Large regions without depth become segments. Their borders stay as measured.

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8
    depth : ndarray, (H, W), float, metres, without holes
    valid : ndarray, (H, W), bool
        Measured pixels.
    edge_factor : float
        A cell is a depth edge if its second difference is this multiple of the noise.
    least_edge : float, metres
        Smallest step along the line of sight that is a depth edge.
    with_plane, with_holes : bool
        Use the support plane; regions without depth are segments.

    Returns
    -------
    Surfaces
        Without `with_plane`, no pixel is on the plane.
    """
    if not valid.any():
        return Surfaces(np.zeros(valid.shape, np.int64), np.zeros(valid.shape, bool))
    cells = surface_cells(depth, valid)
    above, on = plane_cells(cells) if with_plane else (None, np.zeros(cells.known.shape, bool))
    least = least_edge * np.square(cells.inverse)  # a step at the distance z changes inverse depth by step / z^2
    threshold = np.maximum(np.maximum(edge_factor * cells.noise, least), SMALLEST_NUMBER)
    parts = depth_segments(cells.curvature, threshold, above)
    side = cell_side(valid.shape)
    whole, on_plane = (
        values.repeat(side, 0).repeat(side, 1)[: valid.shape[0], : valid.shape[1]] for values in (parts, on)
    )
    segments = refine_segments(whole, image, depth, band=side + 1)
    if with_holes:
        missing = missing_regions(valid)
        segments = np.where(missing > 0, segments.max() + missing, segments)
    segments = (np.cumsum(np.bincount(segments.ravel()) > 0) - 1)[segments]  # without gaps; faster than np.unique
    return Surfaces(segments, on_plane)


def refine_segments(segments: np.ndarray, image: np.ndarray, depth: np.ndarray, band: int) -> np.ndarray:
    """Move the borders between regions to the strongest gradient of colour and inverse depth nearby.

    Parameters
    ----------
    segments : ndarray, (H, W), integer from 0
    image : ndarray, (H, W, 3), uint8
    depth : ndarray, (H, W), float, metres, without holes
    band : int
        Largest move of a border, in pixels.

    Returns
    -------
    ndarray, (H, W), int64
        The same regions.
    """
    count = int(segments.max()) + 1
    if count == 1:
        return segments.astype(np.int64)
    inside = ~near_border(segments, band)
    lost = np.bincount(segments[inside], minlength=count) == 0  # regions thinner than the band keep their pixels
    markers = np.where(inside | lost[segments], segments + 1, 0)
    colours = rgb2lab(image.astype(np.float32) / 255)  # float32 takes a third of the time
    colour_gradient = np.sqrt(sum(sobel(colours[..., channel]) ** 2 for channel in range(3)))
    depth_gradient = sobel(1.0 / np.maximum(depth, 1e-3))
    relief = np.clip(colour_gradient / COLOUR_STEP, 0, 1) + np.clip(depth_gradient / INVERSE_DEPTH_STEP, 0, 1)
    # Only the band and its rim are flooded: the rest has its region already.
    flooded = ndimage.binary_dilation(markers == 0)
    return np.where(flooded, watershed(relief, markers * flooded, mask=flooded), markers).astype(np.int64) - 1


def near_border(segments: np.ndarray, band: int) -> np.ndarray:
    """Pixels with a pixel of another segment at a Euclidean distance of at most `band`.

    Parameters
    ----------
    segments : ndarray, (H, W), integer
    band : int
        In pixels.

    Returns
    -------
    ndarray, (H, W), bool

    Examples
    --------
    >>> near_border(np.array([[0, 0, 0, 1]]), band=1).tolist()
    [[False, False, True, True]]
    """
    height, width = segments.shape
    near = np.zeros(segments.shape, bool)
    # Both pixels of a pair are marked, so half of the disk is enough. A grey dilation takes three times as long.
    for down in range(min(band, height - 1) + 1):
        reach = min(math.isqrt(band**2 - down**2), width - 1)
        for right in range(-reach if down else 1, reach + 1):
            here = np.s_[: height - down, max(-right, 0) : width - max(right, 0)]
            there = np.s_[down:, max(right, 0) : width - max(-right, 0)]
            apart = segments[here] != segments[there]
            near[here] |= apart
            near[there] |= apart
    return near
