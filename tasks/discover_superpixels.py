"""Stage 6: superpixels of the training images, from their keys, refined to pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import luigi
import numpy as np

from data.images import read_image
from data.sample import TRAIN, Sample
from data.store import ArraySpec, ShardedStore
from tasks.base import StageTask
from tasks.extract_keys import ExtractKeys
from tasks.index_dataset import IndexDataset
from tasks.layout import SHARD_SIZE, create_store, padded_size

NO_SUPERPIXEL = 65535


class DiscoverSuperpixels(StageTask):
    """Lowest-degree-first discovery (eq. 3.1, table 3.1), then dense CRF."""

    tau = luigi.FloatParameter(default=0.3, description="cosine similarity above which a patch joins")
    seed_rule = luigi.ChoiceParameter(default="lowest", choices=("lowest", "highest"), description="degree of the seed")
    centre = luigi.BoolParameter(
        default=True, parsing=luigi.BoolParameter.EXPLICIT_PARSING, description="subtract the image's mean key (CNNs)"
    )
    refinement = luigi.ChoiceParameter(default="crf", choices=("crf", "nearest"), description="from patches to pixels")
    crf = luigi.ChoiceParameter(default="irn", choices=("clip-es", "irn", "kim"), description="CRF constants")
    shard_size = luigi.IntParameter(default=SHARD_SIZE, description="images a shard")

    def requires(self):
        return [self.upstream(IndexDataset), self.upstream(ExtractKeys)]

    def work(self) -> int:
        from tasks.workers import map_shards

        samples = self.index.split(TRAIN)
        arrays = superpixel_arrays(samples)
        store = create_store(self.artifact, self.index, samples, arrays, self.description(), self.shard_size)
        keys = self.upstream(ExtractKeys).artifact.path
        settings = {name: getattr(self, name) for name in ("tau", "seed_rule", "centre", "refinement", "crf")}
        shards = [
            (store.path, keys, shard, store.images_of(shard), [samples[i] for i in store.images_of(shard)], settings)
            for shard in store.missing_shards()
        ]
        return sum(self.progress(map_shards(discover_shard, shards, self.processes), len(shards), "shard"))


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
    path: Path, keys: Path, shard: int, numbers: Sequence[int], samples: Sequence[Sample], settings: dict
) -> int:
    """Discover, refine and write one shard; returns its number of images."""
    store = ShardedStore(keys)
    maps = [
        superpixels_of(sample, store.read_image("key", number), store.read_image("grid", number), **settings)
        for number, sample in zip(numbers, samples, strict=True)
    ]
    ShardedStore(path).write_shard(
        shard, {"superpixel": maps, "count": np.array([values.max() + 1 for values in maps], np.uint16)}
    )
    return len(samples)


def superpixels_of(
    sample: Sample,
    key: np.ndarray,
    grid: np.ndarray,
    tau: float,
    seed_rule: str,
    centre: bool,
    refinement: str,
    crf: str,
) -> np.ndarray:
    """Superpixel of each pixel of one image, (H, W) uint16."""
    import torch

    from models.crf import CRF_PRESETS, crf_from_labels
    from models.features import centre as centre_keys
    from models.superpixels import discover_superpixels, renumber, superpixels_at_pixels

    rows, columns = (int(side) for side in grid)
    patches = torch.from_numpy(key[:rows, :columns].astype(np.float32)).reshape(1, rows * columns, -1)
    labels = discover_superpixels(centre_keys(patches) if centre else patches, tau, seed_rule)
    pixels = superpixels_at_pixels(labels.view(rows, columns), sample.size)
    if refinement == "crf":
        count = int(pixels.max()) + 1
        pixels = torch.from_numpy(crf_from_labels(read_image(sample.image), pixels.numpy(), count, CRF_PRESETS[crf]))
    return renumber(pixels).numpy().astype(np.uint16)
