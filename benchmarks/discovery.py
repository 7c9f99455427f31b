"""Superpixel discovery against the literal pseudocode of table 3.1, and against the matrix product alone.

    python benchmarks/discovery.py [--repeats 5] [--device cpu] [--batch 8]

Prints medians and ratios of one run. The reference recomputes all degrees over the patches left for every superpixel,
as in the pseudocode, with NumPy on CPU. Its labels are compared with ours. The second table has the rate with and
without batches, the time of 1,000 images (published: 8 to 100 minutes), and the peak memory.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
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


if __name__ == "__main__":
    main()
