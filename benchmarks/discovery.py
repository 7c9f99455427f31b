"""Superpixel discovery against plain references: the pseudocode of table 3.1, and cells by one SLIC call per segment.

    python benchmarks/discovery.py [--repeats 5] [--device cpu] [--batch 8] [--cells-only]

Prints medians and ratios of one run. The reference recomputes all degrees over the patches left for every superpixel,
as in the pseudocode, with NumPy on CPU. Its labels are compared with ours. The second table has the rate with and
without batches, the time of 1,000 images (published: 8 to 100 minutes), and the peak memory.

The third table has the CPU seconds per image of depth-aware cells on one core, on rendered frames of the demo. The
reference floods the whole image for the segments, and calls SLIC for each segment, with the segment as mask.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.filters import sobel
from skimage.segmentation import slic, watershed

from data.demo import scenes
from data.depth.cleaning import clean_depth
from models import depth_segments, superpixel_cells
from models.superpixel_metrics import superpixel_counts, superpixel_scores
from models.superpixels import discover_superpixels
from tasks.runtime.memory import peak_memory_mb, reset_peak_memory


def pseudocode(features: np.ndarray, tau: float) -> np.ndarray:
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similarity = unit @ unit.T
    linked = similarity > 0
    left = np.arange(len(features))
    labels = np.full(len(features), -1)
    number = 0
    while left.size:
        degrees = linked[np.ix_(left, left)].sum(1)
        seed = left[degrees.argmin()]
        members = left[(similarity[seed, left] > tau) | (left == seed)]
        labels[members] = number
        left = np.setdiff1d(left, members)
        number += 1
    return labels


def product(features: torch.Tensor) -> torch.Tensor:
    unit = F.normalize(features, dim=1)
    return unit @ unit.T


def median_seconds(function, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def reset_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    reset_peak_memory()


def peak_mb(device: str) -> float:
    return torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else peak_memory_mb()


def patches(count: int, dim: int, groups: int) -> torch.Tensor:
    """Clustered features, similar to keys: `groups` centres and noise of equal strength."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(groups, dim, generator=generator)
    return centres[torch.randint(groups, (count,), generator=generator)] + torch.randn(count, dim, generator=generator)


def flooded_whole(segments: np.ndarray, image: np.ndarray, depth: np.ndarray, band: int) -> np.ndarray:
    """`models.depth_segments.refine_segments`, but the watershed floods every pixel of the image."""
    disk = np.hypot(*np.mgrid[-band : band + 1, -band : band + 1]) <= band
    inside = ndimage.grey_dilation(segments, footprint=disk) == ndimage.grey_erosion(segments, footprint=disk)
    markers = np.where(inside, segments + 1, 0)
    for lost in np.setdiff1d(np.arange(segments.max() + 1), markers[inside] - 1):
        markers[segments == lost] = lost + 1
    colours = rgb2lab(image)
    colour_gradient = np.sqrt(sum(sobel(colours[..., channel]) ** 2 for channel in range(3)))
    relief = np.clip(colour_gradient / depth_segments.COLOUR_STEP, 0, 1)
    relief += np.clip(sobel(1.0 / np.maximum(depth, 1e-3)) / depth_segments.INVERSE_DEPTH_STEP, 0, 1)
    return watershed(relief, markers).astype(np.int64) - 1


def slic_per_segment(image: np.ndarray, segments: np.ndarray, count: int) -> np.ndarray:
    """Cells by one SLIC call per segment, with the segment as mask."""
    cells = np.zeros(segments.shape, np.int64)
    start = 0
    for number in range(int(segments.max()) + 1):
        mask = segments == number
        share = round(count * mask.mean())
        if share > 1:
            inside = slic(image, share, sigma=1, mask=mask, start_label=0)[mask]
            cells[mask] = start + np.unique(inside, return_inverse=True)[1]
        else:
            cells[mask] = start
        start = int(cells[mask].max()) + 1 if mask.any() else start
    return cells


def demo_frames(width: int, height: int, count: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Rendered frames: image, depth in metres without holes, measured pixels, and the object of each pixel."""
    scenes.WIDTH, scenes.HEIGHT = width, height
    with tempfile.TemporaryDirectory() as folder:
        scenes.render_demo(Path(folder) / "demo", {"train_pbr": (1, count)})
        scene = Path(folder) / "demo/train_pbr/000001"
        objects = json.loads((scene / "scene_gt.json").read_text())
        frames = []
        for frame in range(count):
            image = np.asarray(Image.open(scene / "rgb" / f"{frame:06d}.jpg"))
            depth, valid = clean_depth(np.asarray(Image.open(scene / "depth" / f"{frame:06d}.png")) / np.float32(1000))
            truth = np.zeros(valid.shape, np.int64)
            for index in range(len(objects[str(frame)])):
                truth[np.asarray(Image.open(scene / "mask_visib" / f"{frame:06d}_{index:06d}.png")) > 0] = index + 1
            frames.append((image, depth, valid, truth))
    return frames


def cells_table(repeats: int) -> None:
    """Seconds of depth-aware cells, one core, and the achievable accuracy of the superpixels."""
    ours = (depth_segments.refine_segments, superpixel_cells.slic_cells)
    methods = {"ours": ours, "reference": (flooded_whole, slic_per_segment)}
    torch.set_num_threads(1)
    heads = {"size": 8, "method": 11, "segments s": 12, "cells s": 9, "rest s": 8, "all s": 8, "cells": 7}
    print(
        "\n" + "".join(f"{head:>{width}}" for head, width in heads.items()) + f"{'superpixels':>13}{'ASA':>8}{'BR':>8}"
    )
    for width, height in ((320, 240), (640, 480)):
        frames = demo_frames(width, height, repeats)
        seconds: dict[str, list] = {name: [] for name in methods}
        counts, cells_made = dict.fromkeys(methods, 0), dict.fromkeys(methods, 0)
        for image, depth, valid, truth in frames:
            colours = torch.from_numpy(image[4::8, 4::8] / np.float32(255))
            keys = colours @ torch.randn(3, 112, generator=torch.Generator().manual_seed(0))
            for name, (refine, make_cells) in methods.items():
                depth_segments.refine_segments = refine
                start = time.process_time()
                surfaces = depth_segments.surfaces_of(image, depth, valid)
                with_segments = time.process_time()
                cells = make_cells(image, surfaces.segments, 200)
                with_cells = time.process_time()
                superpixel_cells.slic_cells = lambda *_, cells=cells: cells
                found = superpixel_cells.discover_on_cells(image, keys, surfaces, 200, 0.3, 0.4, 0.4, centred=True)
                ended = time.process_time()
                seconds[name].append((with_segments - start, with_cells - with_segments, ended - with_cells))
                counts[name] = counts[name] + superpixel_counts(truth, found)
                cells_made[name] += cells.max() + 1
        depth_segments.refine_segments, superpixel_cells.slic_cells = ours
        for name in methods:
            parts = np.median(seconds[name], axis=0)
            scores, made = superpixel_scores(counts[name]), counts[name][-1] / repeats
            times = f"{parts[0]:>12.3f}{parts[1]:>9.3f}{parts[2]:>8.3f}{parts.sum():>8.3f}"
            quality = f"{made:>13.1f}{scores['asa']:>8.4f}{scores['br']:>8.4f}"
            print(f"{f'{width}x{height}':>8}{name:>11}{times}{cells_made[name] / repeats:>7.0f}{quality}")
        slow, fast = (np.median(np.sum(seconds[name], axis=1)) for name in ("reference", "ours"))
        print(f"{f'{width}x{height}':>8}      ratio {slow / fast:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--cells-only", action="store_true")
    arguments = parser.parse_args()
    if arguments.cells_only:
        cells_table(arguments.repeats)
        return
    repeats, device = arguments.repeats, arguments.device
    print(
        f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads, median of {repeats}, seed 0, tau 0.3"
    )
    heads = {"patches x dim": 14, "superpixels": 13, "ours s": 10, "reference s": 13, "ratio": 8, "product s": 11}
    print("".join(f"{head:>{width}}" for head, width in heads.items()) + f"{'ratio':>8}")
    sizes = ((784, 384), (1200, 112), (3136, 768))
    for count, dim in sizes:
        features = patches(count, dim, 30)
        here = features.to(device)
        labels = discover_superpixels(here[None], 0.3)[0].cpu()
        agree = (labels.numpy() == pseudocode(features.numpy(), 0.3)).mean()
        ours = median_seconds(lambda here=here: discover_superpixels(here[None], 0.3), repeats)
        plain = median_seconds(lambda features=features: pseudocode(features.numpy(), 0.3), repeats)
        matrix = median_seconds(lambda here=here: product(here), repeats)
        print(
            f"{f'{count} x {dim}':>14}{int(labels.max()) + 1:>13}{ours:>10.4f}{plain:>13.4f}{plain / ours:>8.1f}"
            f"{matrix:>11.4f}{ours / matrix:>8.2f}   labels equal: {100 * agree:.1f} %"
        )
    heads = {"patches x dim": 14, "batch": 7, "images/s": 10, "1,000 images s": 16, "peak MB": 9}
    print("\n" + "".join(f"{head:>{width}}" for head, width in heads.items()))
    for count, dim in sizes:
        for batch in (1, arguments.batch):
            features = torch.stack([patches(count, dim, 30)] * batch).to(device)
            reset_peak(device)
            seconds = median_seconds(lambda features=features: discover_superpixels(features, 0.3), repeats) / batch
            print(
                f"{f'{count} x {dim}':>14}{batch:>7}{1 / seconds:>10.1f}{1000 * seconds:>16.1f}{peak_mb(device):>9.0f}"
            )
    cells_table(repeats)


if __name__ == "__main__":
    main()
