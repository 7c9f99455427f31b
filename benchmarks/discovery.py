"""Superpixel discovery against the pseudocode of table 3.1 taken literally, and against the matrix product alone.

    python benchmarks/discovery.py [--repeats 5]

Prints medians and ratios of one run. The reference recomputes all degrees over the patches left for
every superpixel, as the pseudocode says, with NumPy; its labels are compared with ours.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F

from models.superpixels import discover_superpixels


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
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def patches(count: int, dim: int, groups: int) -> torch.Tensor:
    """Clustered features, as keys are: `groups` centres and noise of equal strength."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(groups, dim, generator=generator)
    return centres[torch.randint(groups, (count,), generator=generator)] + torch.randn(count, dim, generator=generator)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {repeats}, seed 0, tau 0.3")
    heads = {"patches x dim": 14, "superpixels": 13, "ours s": 10, "reference s": 13, "ratio": 8, "product s": 11}
    print("".join(f"{head:>{width}}" for head, width in heads.items()) + f"{'ratio':>8}")
    for count, dim in ((784, 384), (1200, 112), (3136, 768)):
        features = patches(count, dim, 30)
        labels = discover_superpixels(features[None], 0.3)[0]
        agree = (labels.numpy() == pseudocode(features.numpy(), 0.3)).mean()
        ours = median_seconds(lambda features=features: discover_superpixels(features[None], 0.3), repeats)
        plain = median_seconds(lambda features=features: pseudocode(features.numpy(), 0.3), repeats)
        matrix = median_seconds(lambda features=features: product(features), repeats)
        print(
            f"{f'{count} x {dim}':>14}{int(labels.max()) + 1:>13}{ours:>10.4f}{plain:>13.4f}{plain / ours:>8.1f}"
            f"{matrix:>11.4f}{ours / matrix:>8.2f}   labels equal: {100 * agree:.1f} %"
        )


if __name__ == "__main__":
    main()
