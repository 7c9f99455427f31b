"""Stage 6: superpixels of the images, from their keys, refined to pixels."""

from __future__ import annotations

import luigi
import numpy as np

from data.files.images import read_image
from data.sample import Sample
from data.store.sharded import ArraySpec
from models.crf_constants import CRF_PRESETS
from tasks.extract_keys import ExtractKeys
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth, read_surface
from tasks.runtime.image_stage import SplitStage
from tasks.runtime.layout import image_map
from tasks.runtime.parameters import Choice, RegistryParameter, flag, nonzero, one_of, only
from tasks.runtime.shards import ImageInputs
from tasks.runtime.stage import Stages

NO_SUPERPIXEL = 65535
"""Padding, in the 16 bits that ids above 255 need."""


def from_cells(
    sample: Sample,
    inputs: ImageInputs,
    tau: float,
    seed_rule: str,
    centre: bool,
    depth_weight: float,
    edge_threshold: float,
    cells: int,
) -> np.ndarray:
    """Superpixels that are groups of cells, which follow colours and depth edges to the pixel."""
    import torch

    from models.depth_segments import segments_of
    from models.superpixel_cells import discover_on_cells

    image, keys = read_image(sample.image), torch.from_numpy(_patches(inputs))
    segments, weight = np.zeros(sample.size, np.int64), 0.0
    if depth_weight:
        depth, valid = read_surface(inputs["depth"])
        segments = segments_of(image, depth, valid, edge_threshold)
        weight = depth_weight if valid.any() else 0.0
    return discover_on_cells(image, keys, segments, cells, weight, tau, seed_rule, centre)


def from_patches(
    sample: Sample, inputs: ImageInputs, tau: float, seed_rule: str, centre: bool, refinement: str, crf: str
) -> np.ndarray:
    """Superpixels that are groups of patches, refined to pixels, as published."""
    import torch

    from models.crf import crf_from_labels
    from models.features import centre as centre_keys
    from models.superpixels import discover_superpixels, renumber, superpixels_at_pixels

    patches = _patches(inputs)
    rows, columns, _ = patches.shape
    keys = torch.from_numpy(patches).reshape(1, rows * columns, -1)
    labels = discover_superpixels(centre_keys(keys) if centre else keys, tau, seed_rule)
    pixels = superpixels_at_pixels(labels.view(rows, columns), sample.size)
    if refinement == "crf":
        count = int(pixels.max()) + 1
        pixels = torch.from_numpy(crf_from_labels(read_image(sample.image), pixels.numpy(), count, CRF_PRESETS[crf]))
    return renumber(pixels).numpy()


def plain_slic(sample: Sample, inputs: ImageInputs, cells: int) -> np.ndarray:
    """SLIC of scikit-image, with which superpixels are usually compared."""
    from skimage.segmentation import slic

    return slic(read_image(sample.image), cells, start_label=0)


def _patches(inputs: ImageInputs) -> np.ndarray:
    """Keys of one image, (h, w, D) float32."""
    rows, columns = inputs["keys"].read("grid")
    return inputs["keys"].read("key")[:rows, :columns].astype(np.float32)


UNITS: dict[str, Choice] = {
    "cells": Choice(
        from_cells,
        ("tau", "seed_rule", "centre", "depth_weight", "edge_threshold", "cells"),
        inputs=("keys", "depth"),
    ),
    "patches": Choice(from_patches, ("tau", "seed_rule", "centre", "refinement", "crf"), inputs=("keys",)),
    "slic": Choice(plain_slic, ("cells",)),
}
"""units -> superpixel of each pixel of an image, (H, W) integer from 0."""


class DiscoverSuperpixels(SplitStage):
    """Lowest-degree-first discovery (eq. 3.1) on patches, refined by dense CRF, or on cells that end at depth edges."""

    version = 2

    tau = luigi.FloatParameter(default=0.5, description="affinity above which a unit joins a superpixel")
    seed_rule = one_of(("lowest", "highest", "ncut"), "lowest", "degree of the seed, or a normalised cut")
    centre = flag(True, "subtract the image's mean key (for CNNs)")
    units = RegistryParameter(
        UNITS, "cells", "cells follow colours and depth edges to the pixel; slic: no discovery, for comparison"
    )
    depth_weight = luigi.FloatParameter(default=0.3, description="share of depth in the affinity, 0 = none")
    edge_threshold = only(
        luigi.FloatParameter(default=0.02, description="1/m; stronger depth edges separate surfaces"),
        depth_weight=nonzero,
    )
    cells = luigi.IntParameter(default=200, description="approximate cells per image")
    refinement = one_of(("crf", "nearest"), "crf", "from patches to pixels")
    crf = only(one_of(CRF_PRESETS, "irn", "CRF constants"), refinement="crf")

    def requires(self):
        stages: Stages = {"dataset": self.upstream(IndexDataset)}
        needed = UNITS[self.units].inputs
        if "keys" in needed:
            stages["keys"] = self.upstream(ExtractKeys, split=self.split)
        if "depth" in needed and self.depth_weight:
            stages["depth"] = self.upstream(LoadDepth, split=self.split)
        return stages

    def arrays(self, samples):
        return {
            "superpixel": image_map(samples, "uint16", NO_SUPERPIXEL, "superpixel, 65535 = padding"),
            "count": ArraySpec((), (), "uint16", NO_SUPERPIXEL, {"long_name": "superpixels of the image"}),
        }

    def compute(self, sample, inputs):
        units = UNITS[self.units]
        superpixels = units.function(sample, inputs, **units.settings(self)).astype(np.uint16)
        return {"superpixel": superpixels, "count": np.uint16(superpixels.max() + 1)}
