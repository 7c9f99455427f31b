"""Draws docs/deal.png from the artifacts of an Ablation that has the losses none and deal.

    python docs/deal_pictures.py --dataset demo [the Ablation's other flags] [--output docs/deal.png]

One row per image: the image, Sobel edges of depth (the paper's), second differences of inverse depth (ours),
the CAM and its edges without the loss, the CAM and its edges with the loss.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from data.files.working_size import sample_image
from data.sample import TRAIN, spread
from models.losses.deal import DEPTH_EDGES, cam_edge_strength, edge_strength
from pipeline import Ablation, ExtractCams, LoadDepth
from pipeline.asked import task_of
from pipeline.report.colours import colour_heat, save_sheet
from tasks.extract_cams import read_cam
from tasks.load_depth import read_surface

FULL_STEP = 0.03
"""Metres of the Sobel magnitude that are drawn white."""


def enlarged(cells: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    """(1, 1, h, w) cells -> picture of `size`, each cell a square."""
    return colour_heat(torch.nn.functional.interpolate(cells, size=size, mode="nearest")[0, 0].numpy())


def row(ablation: Ablation, index: int) -> list[np.ndarray]:
    sample = ablation.inputs["dataset"].split(TRAIN)[index]
    size, image = sample.size, sample_image(sample)
    surface = read_surface(ablation.upstream(LoadDepth).artifact.image(index, size))
    depth, valid = (torch.from_numpy(values.copy())[None, None] for values in surface)
    panels = [image]
    for name, floor, span, noise_factor in (("sobel", 0.0, FULL_STEP, 0.0), ("curvature", 0.004, 0.03, 2.0)):
        panels.append(enlarged(edge_strength(DEPTH_EDGES[name](depth, valid, 8), floor, span, noise_factor), size))
    grid = (-(-size[0] // 8), -(-size[1] // 8))
    for variant in ablation.variants:
        cams = ablation.of_variant(ExtractCams, variant, ablation.seed_list()[0]).artifact
        cam = read_cam(cams.image(index, size))[0].amax(0)
        panels += [colour_heat(cam.numpy(), image), enlarged(cam_edge_strength(cam[None, None], grid), size)]
    return panels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/deal.png"))
    parser.add_argument("--images", type=int, default=4)
    options, flags = parser.parse_known_args()
    ablation = task_of("Ablation", [*flags, "--losses", "none,deal"])
    samples = ablation.inputs["dataset"].split(TRAIN)
    pictures = [panel for index in spread(samples, options.images) for panel in row(ablation, index)]
    save_sheet(options.output, pictures, columns=len(pictures) // options.images)
    print(f"picture: {options.output}")


if __name__ == "__main__":
    main()
