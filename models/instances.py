"""Instances from depth: what stands on the support plane, cut where surfaces meet in a concave edge. Ours.

Objects are mostly convex, and where two of them meet, the edge is concave (the observation behind LCCP: Stein,
Schoeler, Papon and Woergoetter, "Object Partitioning using Local Convexity", CVPR 2014). Pixels and inverse depth
(u, v, 1/z) are a projective map of space. It keeps planes and convexity. So convexity is read from second differences
of inverse depth, without a camera, and where the noise of stereo and structured light is about the same at all
distances: q(+r) + q(-r) - 2 q(0) is 0 on a plane, positive across a concave edge and on the far side of a silhouette,
and negative across a convex edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.filters import sobel
from skimage.measure import label
from skimage.segmentation import watershed

from models.instance_merging import Scene, merge_containers, merge_hidden, merge_weak
from models.instance_table import InstanceTable, class_of_each, depth_scores, instance_table
from models.standing import FOCAL, Standing, measured_mean, standing


@dataclass(frozen=True)
class SplitSettings:
    """Constants of `split_instances`.

    Attributes
    ----------
    angle : float
        Change of slope (tangent of the angle to the image plane) above which a concave edge divides two objects.
    height : float, metres
        Least height above the support plane, and at least three times the noise.
    certainty : float
        An edge is at least this many standard deviations of the noise.
    smallest : float
        Instances that cover a smaller share of the image are left out; regions below three times it are merged.
    """

    angle: float = 0.6
    height: float = 0.008
    certainty: float = 4.0
    smallest: float = 0.0006


def concavity(inverse: np.ndarray, valid: np.ndarray, reach: int) -> np.ndarray:
    """Largest concave change of slope through each pixel, over four directions.

    With q averaged over measured pixels of a small square, and f the focal length in pixels, the change of slope is
    (q(+r) + q(-r) - 2 q(0)) / r * f / q(0).

    Parameters
    ----------
    inverse : ndarray, (H, W), float, 1/m
    valid : ndarray, (H, W), bool
        Measured pixels.
    reach : int
        r, in pixels.

    Returns
    -------
    ndarray, (H, W), float64
        Negative at convex edges; 0 where a value is missing in all directions.
    """
    height, width = inverse.shape
    smooth = measured_mean(inverse, valid, smoothing(reach))
    padded = np.pad(smooth, reach, mode="edge")

    def moved(down: int, right: int) -> np.ndarray:
        return padded[reach + down : reach + down + height, reach + right : reach + right + width]

    diagonal = round(reach / 2**0.5)
    found = np.full(inverse.shape, -np.inf)
    for down, right in ((0, reach), (reach, 0), (diagonal, diagonal), (diagonal, -diagonal)):
        second = moved(down, right) + moved(-down, -right) - 2 * smooth
        found = np.fmax(found, second / np.hypot(down, right))
    found *= FOCAL * max(height, width) / np.where(smooth > 0, smooth, 1.0)
    return np.where(np.isfinite(found), found, 0.0)


def smoothing(reach: int) -> int:
    """Side of the square over which inverse depth is averaged for differences over `reach` pixels; odd."""
    return max(3, 2 * (reach // 2) + 1)


def reach_of(shape: tuple[int, ...]) -> int:
    """Pixels over which a change of slope is measured: 4 at 640 pixels."""
    return max(2, round(max(shape) / 160))


def split_instances(
    image: np.ndarray,
    depth: np.ndarray,
    valid: np.ndarray,
    labels: np.ndarray | None = None,
    settings: SplitSettings = SplitSettings(),  # noqa: B008 (frozen)
    seed: int = 0,
) -> np.ndarray:
    """Instances of an image, with a class map or of any class.

    What is cut: the pixels of each class, or without a class map what stands on the support plane. Pixels without
    concave edges form cores. They grow until they meet on the edges (watershed). Then `models.instance_merging` puts
    together what belongs together. Without a class map, holes of the depth inside the image go to the object or the
    plane whose colours they continue.

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8
    depth : ndarray, (H, W), float, metres, without holes
    valid : ndarray, (H, W), bool
        Measured pixels. A hole is no surface.
    labels : ndarray, (H, W), integer, optional
        Class map, 0 = background. Without depth, its connected parts are the instances.
    settings : SplitSettings
    seed : int
        Of the search for the support plane.

    Returns
    -------
    ndarray, (H, W), int64
        Instance of each pixel, from 1 without gaps, 0 = none. No instance has two classes.
    """
    smallest = settings.smallest * depth.size
    found = standing(depth, valid, seed) if valid.any() else None
    if found is None:
        parts = label(labels, background=0, connectivity=2) if labels is not None else np.zeros(depth.shape, np.int64)
        return numbered(parts, smallest)
    inverse = 1.0 / np.maximum(depth.astype(np.float64), 1e-3)
    stands = stands_on_plane(found, valid, settings.height)
    wanted = stands if labels is None else labels > 0
    reach = reach_of(depth.shape)
    bend = concavity(inverse, valid, reach)
    noise = found.inverse_noise * 6**0.5 / smoothing(reach) / reach * FOCAL * max(depth.shape) / inverse
    strength = bend / np.maximum(settings.angle, settings.certainty * noise)
    classes = np.where(wanted, 1, 0) if labels is None else labels.astype(np.int64)
    regions = _grow_cores(classes, valid & (strength < 1), bend, smallest)
    scene = Scene(inverse, valid, found.height, _large_parts(valid & ~wanted & ~stands), found.inverse_noise)
    result = np.zeros(depth.shape, np.int64)
    for number in np.unique(classes[classes > 0]).tolist():
        parts = np.where(classes == number, regions, 0)
        parts = merge_weak(_packed(parts), strength, 3 * smallest)
        parts = merge_hidden(merge_containers(parts, scene), scene)
        parts = _fill_enclosed(parts, (classes == number) | (valid & ~wanted if labels is None else False))
        result = np.where(parts > 0, parts + result.max(), result)
    if labels is None:
        result = _fill_holes(result, image, valid, scene.plane)
    return numbered(result, smallest)


def found_instances(
    image: np.ndarray,
    depth: np.ndarray,
    valid: np.ndarray,
    labels: np.ndarray | None,
    settings: SplitSettings = SplitSettings(),  # noqa: B008 (frozen)
    seed: int = 0,
) -> tuple[np.ndarray, InstanceTable]:
    """`split_instances`, and the table of its instances, scored by `models.instance_table.depth_scores`."""
    instances = split_instances(image, depth, valid, labels, settings, seed)
    found = standing(depth, valid, seed) if valid.any() else None
    if found is None:
        stands = valid = np.zeros(depth.shape, bool)
    else:
        stands = stands_on_plane(found, valid, settings.height)
    classes = np.zeros(int(instances.max()), np.int64) if labels is None else class_of_each(instances, labels)
    return instances, instance_table(
        instances, classes, depth_scores(instances, stands, valid, settings.smallest * depth.size)
    )


def stands_on_plane(found: Standing, valid: np.ndarray, height: float) -> np.ndarray:
    """Measured pixels that are higher than `height` metres and than three times the noise, without lone pixels."""
    above = valid & (found.height > np.maximum(height, 3 * found.noise))
    votes, seen = (ndimage.uniform_filter(mask.astype(np.float64), 3) for mask in (above, valid))
    return valid & (votes > 0.5 * seen + 1e-9)


def _grow_cores(classes: np.ndarray, calm: np.ndarray, bend: np.ndarray, smallest: float) -> np.ndarray:
    """Regions of the pixels with a class: the calm parts that are large enough, grown along the bend."""
    cores = label(np.where(calm, classes, 0), background=0, connectivity=1)
    sizes = np.bincount(cores.ravel())
    kept = sizes >= max(12, 0.3 * smallest)
    kept[0] = False
    cores = np.where(kept[cores], cores, 0)
    parts = label(classes, background=0, connectivity=2)
    has_core = np.zeros(parts.max() + 1, bool)
    has_core[parts[cores > 0]] = True
    cores = np.where(has_core[parts] | (parts == 0), cores, parts + cores.max())
    # Each class is flooded alone, so that no region grows over a class border.
    return sum(
        (watershed(bend, np.where(classes == number, cores, 0), mask=classes == number) for number in
         np.unique(classes[classes > 0]).tolist()),
        np.zeros(classes.shape, np.int64),
    )  # fmt: skip


def _large_parts(mask: np.ndarray, share: float = 0.05) -> np.ndarray:
    """Connected parts with at least this share of the mask: the bottom of a bowl is not the table."""
    parts = label(mask, connectivity=1)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return (sizes >= max(1, share * mask.sum()))[parts]


def _fill_enclosed(regions: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Give a region the free pixels that it encloses, such as the flat bottom of a bowl."""
    for number, place in enumerate(ndimage.find_objects(regions), start=1):
        if place is not None:
            mask = regions[place] == number
            inside = ndimage.binary_fill_holes(mask) & ~mask & free[place] & (regions[place] == 0)
            regions[place][inside] = number
    return regions


def _fill_holes(regions: np.ndarray, image: np.ndarray, valid: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """Give the holes that do not reach the border of the image to the region or the plane that their colours continue.

    The markers are the regions and the plane; the relief is the gradient of CIELAB colour.
    """
    holes = label(~valid, connectivity=1)
    edge = np.unique(np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]]))
    inside = (holes > 0) & ~np.isin(holes, edge)
    markers = np.where(regions > 0, regions + 1, np.where(plane, 1, 0))
    if not inside.any() or not markers.any():
        return regions
    colours = rgb2lab(image)
    relief = np.sqrt(sum(sobel(colours[..., channel]) ** 2 for channel in range(3)))
    near = ndimage.binary_dilation(inside)
    filled = watershed(relief, np.where(near, markers, 0), mask=near)
    return np.where(inside, np.maximum(filled - 1, 0), regions)


def _packed(regions: np.ndarray) -> np.ndarray:
    """The same regions with numbers from 1 without gaps; 0 stays 0."""
    values, packed = np.unique(np.append(regions.ravel(), 0), return_inverse=True)
    return packed[:-1].reshape(regions.shape).astype(np.int64)


def numbered(regions: np.ndarray, smallest: float) -> np.ndarray:
    """Regions of at least `smallest` pixels, numbered from 1 without gaps.

    Examples
    --------
    >>> numbered(np.array([[7, 7, 0, 4]]), smallest=2).tolist()
    [[1, 1, 0, 0]]
    """
    sizes = np.bincount(regions.ravel())
    return _packed(np.where((sizes >= smallest)[regions], regions, 0))
