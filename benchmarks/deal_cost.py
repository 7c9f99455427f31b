"""Cost of the losses on the maps: a training step of a classifier without them and with each of them.

    python benchmarks/deal_cost.py [--repeats 9] [--batch 8]

Times are medians. The steps take turns in one process, so noise of the machine affects all of them. Peak memory is
that of a fresh process per line. Random images, 320x240, output stride 16.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

import torch

from models.cam import HEADS, build_classifier
from models.losses import MAP_LOSSES
from tasks.runtime.memory import keep_freed_memory, peak_memory_mb

BACKBONE = "tf_efficientnet_lite0"
VARIANTS: dict[str, tuple[str, ...]] = {"none": (), **{name: (name,) for name in MAP_LOSSES}, "all": tuple(MAP_LOSSES)}


class Step:
    """One training step of a new classifier with the losses of a variant."""

    def __init__(self, head: str, losses: tuple[str, ...], batch: int):
        torch.manual_seed(0)
        self.network = build_classifier(12, head, BACKBONE, 16).train()
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-4)
        depth = 0.5 + torch.rand(batch, 1, 240, 320)
        self.batch = {
            "image": torch.rand(batch, 3, 240, 320),
            "depth": depth,
            "valid": depth > 0,
            "tags": (torch.rand(batch, 12) < 0.2).float(),
        }
        self.losses = {}
        for name in losses:
            settings = {keyword: setting.default for keyword, setting in MAP_LOSSES[name].settings.items()}
            self.losses[name] = MAP_LOSSES[name].build(**settings)

    def __call__(self) -> None:
        output = self.network(self.batch["image"])
        loss = sum(self.network.classification_losses(self.batch["image"], self.batch["tags"], output).values())
        given = {**self.batch, "maps": output.maps, "cams": output.cams}
        for name, module in self.losses.items():
            loss = loss + module(*(given[key] for key in MAP_LOSSES[name].inputs))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


def peak_of_fresh_process(head: str, variant: str, batch: int) -> int:
    """Peak resident memory of three steps, MB."""
    command = [sys.executable, __file__, "--head", head, "--batch", str(batch), "--only", variant]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--head", default="gap", choices=sorted(HEADS))
    parser.add_argument("--only", choices=sorted(VARIANTS), help=argparse.SUPPRESS)  # the fresh process
    options = parser.parse_args()
    keep_freed_memory()
    if options.only:
        step = Step(options.head, VARIANTS[options.only], options.batch)
        for _ in range(3):
            step()
        print(peak_memory_mb())
        return
    steps = {name: Step(options.head, losses, options.batch) for name, losses in VARIANTS.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(options.repeats + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if repeat:  # the first warms up
                times[name].append(time.perf_counter() - start)
    print(
        f"head {options.head}, batch {options.batch}, torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"median of {options.repeats}, seed 0"
    )
    print(f"{'losses':8}{'step s':>9}{'ratio':>8}{'peak MB':>10}{'ratio':>8}")
    plain, plain_peak = statistics.median(times["none"]), None
    for name, seconds in times.items():
        median, peak = statistics.median(seconds), peak_of_fresh_process(options.head, name, options.batch)
        plain_peak = plain_peak or peak
        print(f"{name:8}{median:>9.3f}{median / plain:>8.3f}{peak:>10}{peak / plain_peak:>8.3f}")


if __name__ == "__main__":
    main()
