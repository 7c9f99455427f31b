"""Stage 6: superpixels of the images, from their keys, refined to pixels."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import luigi
import numpy as np

from data.files.images import read_image
from data.sample import Sample
from data.store.sharded import ArraySpec, ShardedStore
from tasks.extract_keys import ExtractKeys
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth, read_surface
from tasks.runtime.image_stage import SplitTask
from tasks.runtime.layout import SHARD_SIZE, create_store, padded_size

NO_SUPERPIXEL = 65535


class DiscoverSuperpixels(SplitTask):
    """Lowest-degree-first discovery (eq. 3.1) on patches, refined by dense CRF, or on cells that end at depth edges."""

    version = 2

    tau = luigi.FloatParameter(default=0.5, description="affinity above which a unit joins")
    seed_rule = luigi.ChoiceParameter(
        default="lowest", choices=("lowest", "highest", "ncut"), description="degree of the seed, or a normalised cut"
    )
    centre = luigi.BoolParameter(
        default=True, parsing=luigi.BoolParameter.EXPLICIT_PARSING, description="subtract the image's mean key (CNNs)"
    )
    units = luigi.ChoiceParameter(
        default="cells",
        choices=("cells", "patches", "slic"),
        description="cells follow colours and depth edges to the pixel; slic: no discovery, for comparison",
    )
    depth_weight = luigi.FloatParameter(default=0.3, description="cells: share of depth in the affinity, 0 = none")
    edge_threshold = luigi.FloatParameter(default=0.02, description="cells: 1/m, depth edges from there part surfaces")
    cells = luigi.IntParameter(default=200, description="cells an image, about")
    refinement = luigi.ChoiceParameter(
        default="crf", choices=("crf", "nearest"), description="patches: from patches to pixels"
    )
    crf = luigi.ChoiceParameter(default="irn", choices=("clip-es", "irn", "kim"), description="patches: CRF constants")
    shard_size = luigi.IntParameter(default=SHARD_SIZE, description="images a shard")

    def requires(self):
        above = [*([ExtractKeys] if self.units != "slic" else []), *([LoadDepth] if self.uses_depth else [])]
        return [self.upstream(IndexDataset), *(self.upstream(stage, split=self.split) for stage in above)]

    @property
    def uses_depth(self) -> bool:
        return self.units == "cells" and self.depth_weight > 0

    def work(self) -> int:
        samples = self.samples
        arrays = superpixel_arrays(samples)
        store = create_store(self.artifact, self.index, samples, arrays, self.description(), self.shard_size)
        keys = self.upstream(ExtractKeys, split=self.split).artifact.path if self.units != "slic" else None
        depth = self.upstream(LoadDepth, split=self.split).artifact.path if self.uses_depth else None
        shards = [
            (store.path, keys, depth, shard, store.images_of(shard), [samples[i] for i in store.images_of(shard)],
             self._discovery())
            for shard in store.missing_shards()
        ]  # fmt: skip
        return sum(self.progress(self.map_shards(discover_shard, shards), len(shards), "shard"))

    def _discovery(self) -> Callable[..., np.ndarray]:
        function, names = UNITS[self.units]
        return functools.partial(function, **{name: getattr(self, name) for name in names})


def superpixel_arrays(samples: Sequence[Sample]) -> dict[str, ArraySpec]:
    """Layout of the artifact; 16 bits, for ids can exceed 255."""
    size = padded_size(samples)
    return {
        "superpixel": ArraySpec(
            ("y", "x"), size, "uint16", NO_SUPERPIXEL, {"long_name": "superpixel, 65535 = padding"}
        ),
        "count": ArraySpec((), (), "uint16", NO_SUPERPIXEL, {"long_name": "superpixels of the image"}),
    }


def discover_shard(
    path: Path,
    keys: Path | None,
    depth: Path | None,
    shard: int,
    numbers: Sequence[int],
    samples: Sequence[Sample],
    discovery: Callable[..., np.ndarray],
) -> int:
    """Discover and write one shard; returns its number of images."""
    key_store, depth_store = keys and ShardedStore(keys), depth and ShardedStore(depth)
    maps = []
    for number, sample in zip(numbers, samples, strict=True):
        patches = None
        if key_store:
            rows, columns = key_store.read_image("grid", number)
            patches = key_store.read_image("key", number)[:rows, :columns].astype(np.float32)
        surface = depth_store and read_surface(depth_store, number, sample.size)
        maps.append(discovery(sample, patches, surface))
    ShardedStore(path).write_shard(
        shard, {"superpixel": maps, "count": np.array([values.max() + 1 for values in maps], np.uint16)}
    )
    return len(samples)


def from_cells(
    sample: Sample,
    patches: np.ndarray,
    surface: tuple[np.ndarray, np.ndarray] | None,
    tau: float,
    seed_rule: str,
    centre: bool,
    depth_weight: float,
    edge_threshold: float,
    cells: int,
) -> np.ndarray:
    """Superpixel of each pixel of one image, (H, W) uint16; `patches` (h, w, D), `surface` depth and validity."""
    import torch

    from models.depth_segments import segments_of
    from models.superpixel_cells import discover_on_cells

    image = read_image(sample.image)
    segments = segments_of(image, *surface, edge_threshold) if surface else np.zeros(sample.size, np.int64)
    keys = torch.from_numpy(patches)
    weight = depth_weight if surface and surface[1].any() else 0.0
    return discover_on_cells(image, keys, segments, cells, weight, tau, seed_rule, centre).astype(np.uint16)


def plain_slic(sample: Sample, patches: None, surface: None, cells: int) -> np.ndarray:
    """SLIC of scikit-image, by which superpixels are usually measured."""
    from skimage.segmentation import slic

    return slic(read_image(sample.image), cells, start_label=0).astype(np.uint16)


def from_patches(
    sample: Sample,
    patches: np.ndarray,
    surface: None,
    tau: float,
    seed_rule: str,
    centre: bool,
    refinement: str,
    crf: str,
) -> np.ndarray:
    """The same from patches and their refinement, as published."""
    import torch

    from models.crf import CRF_PRESETS, crf_from_labels
    from models.features import centre as centre_keys
    from models.superpixels import discover_superpixels, renumber, superpixels_at_pixels

    rows, columns, _ = patches.shape
    keys = torch.from_numpy(patches).reshape(1, rows * columns, -1)
    labels = discover_superpixels(centre_keys(keys) if centre else keys, tau, seed_rule)
    pixels = superpixels_at_pixels(labels.view(rows, columns), sample.size)
    if refinement == "crf":
        count = int(pixels.max()) + 1
        pixels = torch.from_numpy(crf_from_labels(read_image(sample.image), pixels.numpy(), count, CRF_PRESETS[crf]))
    return renumber(pixels).numpy().astype(np.uint16)


UNITS: dict[str, tuple[Callable[..., np.ndarray], tuple[str, ...]]] = {
    "cells": (from_cells, ("tau", "seed_rule", "centre", "depth_weight", "edge_threshold", "cells")),
    "patches": (from_patches, ("tau", "seed_rule", "centre", "refinement", "crf")),
    "slic": (plain_slic, ("cells",)),
}
"""units -> what finds the superpixels of one image, and the stage's parameters that it takes."""
