"""Noise and holes of depth maps: real frames beside rendered ones with each sensor model of `data.depth`.

    python benchmarks/depth_noise.py --real DIR [DIR ...] --rendered DIR [--scale 2.5] [--every 8]

DIR of real frames: in the layout of ``--dataset folder``. DIR of rendered frames: in the BOP layout of HOPE. Prints
Markdown tables of

- absolute second differences of inverse depth over a short and a long reach, in 0.001 1/m, by distance: median, median
  absolute deviation from it, 90th percentile. Without noise they are zero on a plane. The first rows are of patches of
  the real frames that lie in a plane: as they are, and with the `kinect` noise and steps on the fitted plane;
- the share of the pixels without depth, and where these are, each in the first of these places: near the image border,
  in a large area (cut off or out of range), near a depth border, on dark pixels, elsewhere;
- the mean number of pixels without depth along a row between a near and a far surface, by the jump between them;
- the share of the pixels of objects without depth, and the shift that brings the depth borders nearest to the borders
  of the masks: median of its length over the frames;
- CPU milliseconds an image.

Distances of rendered frames are those that the sensor model sees: times `--scale`.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import ndimage

from data.depth import SENSORS
from data.depth.cleaning import fill_holes
from data.depth.sensors import luminance, rounded_disparity, sense
from data.files.images import read_depth, read_image
from data.files.labels import read_truth
from data.readers.bop import read_bop
from data.readers.folder import read_folder
from data.sample import UNLABELLED, Sample

DISTANCES = (0.5, 0.8, 1.2, 2.0)
"""Metres: limits of the classes of distance."""

REACHES = (2, 8)
"""Pixels at a width of 640, as all lengths here."""

BORDER = 40
"""Pixels: nearer to the image border is "near the image border"."""

LARGE = 0.03
"""Share of the image: a larger area without depth is "large"."""

EDGE = 0.023
"""1/m: a larger difference of inverse depth within 5 pixels is a depth border: 1 pixel of a Kinect's disparity."""

NEAR_EDGE = 8
"""Pixels: as near as that is "near a depth border"."""

DARK = 80
"""Luminance below which a pixel is dark."""

JUMPS = (0.2, 0.3, 0.46, 0.93)
"""1/m: limits of the classes of jumps. A Kinect at 640 pixels sees 43 pixels of disparity a 1/m."""

REACH = 8
"""Pixels: largest shift between depth and image that is looked for."""

PATCH = 32
"""Pixels: side of the patches to which planes are fitted."""

FLAT = 0.25
"""Pixels of a Kinect's disparity: a patch with a larger rms deviation from its plane is not flat."""

PLACES = ("image border", "large area", "depth border", "dark", "elsewhere")


Maps = Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Depth in metres, luminance and label map, (H, W) each."""

Differences = dict[tuple[int, int], np.ndarray]
"""Second differences in 0.001 1/m, by (reach, class of distance)."""


def second_differences(depth: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Absolute second differences of inverse depth along x and y where all three pixels are measured, and the depth."""
    values, places = [], []
    inverse = np.where(depth > 0, 1 / np.maximum(depth, 1e-6), np.nan)
    for along in (inverse, inverse.T):
        found = np.abs(along[2 * reach :] + along[: -2 * reach] - 2 * along[reach:-reach])
        known = np.isfinite(found)
        values.append(found[known])
        places.append(1 / along[reach:-reach][known])
    return np.concatenate(values), np.concatenate(places)


def hole_places(depth: np.ndarray, brightness: np.ndarray) -> np.ndarray:
    """Share of the pixels of the image that are without depth, at each of `PLACES`."""
    holes, zoom = depth == 0, depth.shape[1] / 640
    margin = round(BORDER * zoom)
    border = np.ones_like(holes)
    border[margin:-margin, margin:-margin] = False
    parts, count = ndimage.label(holes)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    large = (sizes > LARGE * holes.size)[parts] & holes
    inverse = 1 / fill_holes(depth, ~holes)
    side = 1 + 2 * round(2 * zoom)
    jump = ndimage.maximum_filter(inverse, side) - ndimage.minimum_filter(inverse, side) > EDGE
    near = ndimage.maximum_filter(jump, 1 + 2 * round(NEAR_EDGE * zoom))
    left, shares = holes.copy(), []
    for place in (border, large, near, brightness < DARK, np.ones_like(holes)):
        shares.append((left & place).mean())
        left &= ~place
    return np.array(shares)


def holes_at_jumps(depth: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """Pairs of measured pixels of a row with nothing measured between: side of the near one, class of jump, distance.

    The side is 1 if the near surface is on the right. The distance is in pixels of 640, 0 for neighbours.
    """
    margin = round(BORDER * depth.shape[1] / 640)
    for row in depth[margin:-margin]:
        (places,) = np.nonzero(row[margin:-margin])
        inverse = 1 / row[margin:-margin][places]
        jumps, gaps = np.diff(inverse), (np.diff(places) - 1) * 640 / depth.shape[1]
        for at in np.flatnonzero((np.abs(jumps) >= JUMPS[0]) & (np.abs(jumps) < JUMPS[-1]) & (gaps < 60)):
            yield int(jumps[at] > 0), int(np.digitize(abs(jumps[at]), JUMPS)) - 1, gaps[at]


def border_shift(depth: np.ndarray, truth: np.ndarray) -> float | None:
    """Length of the shift that brings the depth borders nearest to those of the masks, in pixels of 640.

    None if there are few depth borders near those of the masks.
    """
    zoom = depth.shape[1] / 640
    inverse = 1 / fill_holes(depth, depth > 0)
    borders, jumps = np.zeros(depth.shape, bool), np.zeros(depth.shape, bool)
    for now, before in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        borders[now] |= truth[now] != truth[before]
        jumps[now] |= np.abs(inverse[now] - inverse[before]) > 2 * EDGE
    margin, reach = round(BORDER * zoom), round(REACH * zoom)
    distance = np.minimum(ndimage.distance_transform_edt(~borders), reach)
    inner = np.s_[margin:-margin, margin:-margin]
    rows, columns = np.nonzero(jumps[inner] & (distance[inner] < reach))
    if len(rows) < 100 * zoom:
        return None
    shifts = [(y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1)]
    means = [distance[rows + margin + y, columns + margin + x].mean() for y, x in shifts]
    return float(np.hypot(*shifts[int(np.argmin(means))])) / zoom


def flat_patches(depth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Flat patches without holes: depth in metres, and the disparity in pixels of a Kinect of the fitted plane."""
    model = SENSORS["kinect"]
    rows, columns = np.indices((PATCH, PATCH))
    basis = np.stack([np.ones(PATCH**2), rows.ravel(), columns.ravel()], 1)
    for top in range(0, depth.shape[0] - PATCH + 1, PATCH):
        for left in range(0, depth.shape[1] - PATCH + 1, PATCH):
            patch = depth[top : top + PATCH, left : left + PATCH].astype(np.float64)
            if patch.all():
                disparity = model.focal_baseline / patch.ravel()
                plane = basis @ np.linalg.lstsq(basis, disparity, rcond=None)[0]
                if (disparity - plane).std() < FLAT:
                    yield patch, plane.reshape(PATCH, PATCH)


def planes(maps: Maps, is_model: bool) -> Differences:
    """Second differences as of `measured`, of flat patches: as they are, or with the model on the fitted plane."""
    values, rng, model = defaultdict(list), np.random.default_rng(0), SENSORS["kinect"]
    for depth, _, _ in maps:
        for patch, plane in flat_patches(depth):
            if is_model:
                disparity = rounded_disparity(plane, model.step, model.rms, round(model.correlation), rng)
                patch = np.round(model.focal_baseline / disparity, 3)  # files are in millimetres
            for reach in REACHES:
                found, _ = second_differences(patch, reach)
                values[reach, np.digitize(patch.mean(), DISTANCES) - 1].append(1000 * found)
    return {key: np.concatenate(parts) for key, parts in values.items()}


@dataclass
class Measured:
    """What is measured of some depth maps.

    Attributes
    ----------
    differences : dict
        Second differences of inverse depth.
    places : list of ndarray
        `hole_places` of each map.
    lengths, pairs : ndarray
        Sum of the lengths of holes, and their number, by (side of the near surface, class of jump).
    missed, shifts : list of float
        Share of the object pixels without depth, and `border_shift`, of each map where they are known.
    """

    differences: Differences = field(default_factory=dict)
    places: list[np.ndarray] = field(default_factory=list)
    lengths: np.ndarray = field(default_factory=lambda: np.zeros((2, len(JUMPS) - 1)))
    pairs: np.ndarray = field(default_factory=lambda: np.zeros((2, len(JUMPS) - 1)))
    missed: list[float] = field(default_factory=list)
    shifts: list[float] = field(default_factory=list)


def measured(maps: Maps) -> Measured:
    found, values = Measured(), defaultdict(list)
    rng = np.random.default_rng(0)
    for depth, brightness, truth in maps:
        found.places.append(hole_places(depth, brightness))
        for side, jump, length in holes_at_jumps(depth):
            found.lengths[side, jump] += length
            found.pairs[side, jump] += 1
        if (is_object := (truth > 0) & (truth != UNLABELLED)).any():
            found.missed.append((depth[is_object] == 0).mean())
        if (shift := border_shift(depth, truth)) is not None:
            found.shifts.append(shift)
        for reach in REACHES:
            all_of_it, where = second_differences(depth, round(reach * depth.shape[1] / 640))
            for index in range(len(DISTANCES) - 1):
                inside = all_of_it[(where >= DISTANCES[index]) & (where < DISTANCES[index + 1])]
                values[reach, index].append(1000 * rng.choice(inside, min(len(inside), 20000), replace=False))
    found.differences = {key: np.concatenate(parts) for key, parts in values.items()}
    return found


def noisy(samples: Iterable[Sample], classes: int, name: str, scale: float, times: list[float]) -> Maps:
    """The frames with a sensor model; their depth times `scale`, in whole millimetres as in files."""
    for index, sample in enumerate(samples):
        depth, image = read_depth(sample), read_image(sample.image)
        begun = time.process_time()
        if name in SENSORS:
            depth = sense(depth, image, SENSORS[name], scale, np.random.default_rng([0, index]))
        times.append(time.process_time() - begun)
        truth = read_truth(sample, classes)
        yield np.round(depth * scale, 3), luminance(image), np.zeros(depth.shape) if truth is None else truth


def report(rows: dict[str, Callable[[], Maps]], real: list[str]) -> None:
    """Measure and print; `real` names the rows of real frames."""
    results = {name: measured(maps()) for name, maps in rows.items()}
    for name in real:
        patches = {f"{name}, flat patches": planes(rows[name](), is_model=False)}
        print_differences({**patches, "kinect on their planes": planes(rows[name](), is_model=True)})
    print_differences({name: found.differences for name, found in results.items()})
    print("\nShare of the pixels without depth, and where these are, in percent of the image; of the objects; shift\n")
    _print_head("depth", "all", *PLACES, "in objects, % of them", "shift, pixels of 640")
    for name, found in results.items():
        places = np.mean(found.places, 0)
        cells = [100 * places.sum(), *100 * places, 100 * np.mean(found.missed), np.median(found.shifts)]
        print(f"| {name} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |")
    print("\nMean pixels of 640 without depth between two surfaces, by the jump between them\n")
    classes = [f"{low:g} to {high:g} 1/m" for low, high in zip(JUMPS, JUMPS[1:], strict=False)]
    _print_head("depth", *(f"{side}, {told}" for side in ("right of near", "left of near") for told in classes))
    for name, found in results.items():
        print(f"| {name} | " + " | ".join(f"{cell:.1f}" for cell in (found.lengths / found.pairs).ravel()) + " |")


def print_differences(found: dict[str, Differences]) -> None:
    for reach in REACHES:
        print(f"\n|second differences| over {reach} pixels of 640, 0.001 1/m: median / MAD / 90th percentile\n")
        classes = [f"{near:g} to {far:g} m" for near, far in zip(DISTANCES, DISTANCES[1:], strict=False)]
        _print_head("depth", *classes)
        for name, values in found.items():
            cells = [_told(values.get((reach, index), np.zeros(0))) for index in range(len(classes))]
            print(f"| {name} | " + " | ".join(cells) + " |")


def _print_head(first: str, *others: str) -> None:
    print(f"| {first} | " + " | ".join(others) + " |\n|---|" + "---:|" * len(others))


def _told(values: np.ndarray) -> str:
    if len(values) < 1000:
        return ""
    median = np.median(values)
    return f"{median:.1f} / {np.median(np.abs(values - median)):.1f} / {np.percentile(values, 90):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, nargs="*", default=[])
    parser.add_argument("--rendered", type=Path)
    parser.add_argument("--scale", type=float, default=2.5)
    parser.add_argument("--every", type=int, default=8, help="take each n-th rendered frame")
    arguments = parser.parse_args()
    rows: dict[str, Callable[[], Maps]] = {}
    for root in arguments.real:
        index = read_folder(root)
        frames = [sample for sample in index.samples if sample.depth]
        maps = functools.partial(noisy, frames, index.num_classes, "", 1.0, [])
        rows[f"{root.name}, {len(frames)} real frames"] = maps
    real = list(rows)
    times: dict[str, list[float]] = {"as rendered": [], **{name: [] for name in SENSORS}}
    if arguments.rendered:
        index = read_bop(arguments.rendered, {"train": "onboarding_static", "evaluation": "val"})
        frames = list(index.samples)[:: arguments.every]
        for name, spent in times.items():
            maps = functools.partial(noisy, frames, index.num_classes, name, arguments.scale, spent)
            rows[f"{name}, {len(frames)} rendered frames"] = maps
    report(rows, real)
    for name in SENSORS:
        if times[name]:
            print(f"\n{name}: {1000 * np.median(times[name]):.0f} ms of CPU an image (median)")


if __name__ == "__main__":
    main()
