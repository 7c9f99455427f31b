"""Stage 9: label maps from the trained network: pseudo-labels (train split) or predictions (evaluation split)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import luigi
import numpy as np

from data.files.images import read_image
from data.sample import EVALUATION, TRAIN, UNLABELLED, Sample
from data.store.sharded import ArraySpec, ShardedStore
from tasks.discover_superpixels import NO_SUPERPIXEL
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth, read_surface
from tasks.methods import trainer
from tasks.runtime.layout import SHARD_SIZE, create_store, padded_size
from tasks.runtime.stage import ScalesParameter, StageTask

UNLIKELY = 0.02
"""A class whose probability stays below this everywhere is left out of the CRF, whose time grows with the classes."""


class Candidates(NamedTuple):
    """What the network says of one image.

    Attributes
    ----------
    probabilities : ndarray, (L, H, W), float16
    classes : ndarray, (L,)
        Their class numbers.
    superpixels : ndarray, (H, W), uint16, or None
        Where the network has learned some.
    """

    probabilities: np.ndarray
    classes: np.ndarray
    superpixels: np.ndarray | None


class PredictMasks(StageTask):
    """Multi-scale probabilities, the image's tags applied on the train split, dense CRF, argmax."""

    resources = {"gpu": 1}
    came_later = {"vote": "none"}

    split = luigi.ChoiceParameter(default=TRAIN, choices=(TRAIN, EVALUATION), description="train = pseudo-labels")
    train_scales = ScalesParameter(
        default=(1.5,), description="train split: sizes of the image, relative; probabilities are averaged"
    )
    evaluation_scales = ScalesParameter(
        default=(2.0, 3.0), description="evaluation split: larger ones tell more classes apart, no tags help"
    )
    flip = luigi.BoolParameter(default=True, parsing=luigi.BoolParameter.EXPLICIT_PARSING, description="also mirrored")
    crf = luigi.ChoiceParameter(default="irn", choices=("none", "clip-es", "irn", "kim"), description="CRF constants")
    crf_engine = luigi.ChoiceParameter(
        default="pydensecrf", choices=("pydensecrf", "torch"), description="torch: the same on the GPU, slow without"
    )
    vote = luigi.ChoiceParameter(
        default="none",
        choices=("none", "depth"),
        description="depth: what depth edges enclose gets the class that is likeliest on average, after the CRF",
    )
    batch_size = luigi.IntParameter(default=8, significant=False)
    shard_size = luigi.IntParameter(default=SHARD_SIZE, description="images a shard")

    @property
    def label(self):
        return f"PredictMasks-{self.split}"

    @property
    def scales(self) -> tuple[float, ...]:
        return self.train_scales if self.split == TRAIN else self.evaluation_scales

    def unused(self):
        return ("evaluation_scales",) if self.split == TRAIN else ("train_scales",)

    def requires(self):
        return [self.upstream(IndexDataset), self.upstream(trainer(self.method)), *self._voters()]

    def _voters(self) -> list[StageTask]:
        return [self.upstream(LoadDepth, split=self.split)] if self.vote == "depth" else []

    def work(self) -> int:
        from tasks.runtime.executors import map_shards

        index, samples = self.index, self.index.split(self.split)
        arrays = {
            "label": ArraySpec(
                ("y", "x"), padded_size(samples), "uint8", UNLABELLED,
                {"long_name": "0 background, 1.. class, 255 padding"},
            )
        }  # fmt: skip
        if self.upstream(trainer(self.method)).learns_superpixels:
            arrays["superpixel"] = ArraySpec(
                ("y", "x"), padded_size(samples), "uint16", NO_SUPERPIXEL,
                {"long_name": "superpixel that the network has upsampled by"},
            )  # fmt: skip
        store = create_store(self.artifact, index, samples, arrays, self.description(), self.shard_size)
        shards = store.missing_shards()
        jobs = self._probabilities(store, samples, shards)
        if self.crf != "none" and self.crf_engine == "pydensecrf":
            results = self.map_shards(label_shard, jobs, len(shards))
        else:
            results = map_shards(label_shard, jobs, workers=1, count=len(shards))
        return sum(self.progress(results, len(shards), "shard"))

    def _probabilities(self, store: ShardedStore, samples: Sequence[Sample], shards: Sequence[int]):
        """Arguments of `label_shard`, one shard after the other; the network runs here, the CRF elsewhere."""
        import torch

        from models.crf import CRF_PRESETS, crf_from_probabilities
        from tasks.runtime.batches import image_batch, map_images
        from tasks.runtime.networks import load_trained, normalisation_of
        from tasks.runtime.training_loop import choose_device

        device = choose_device(self.device)
        trained = self.upstream(trainer(self.method))
        network = load_trained(trained.network(), trained.artifact, device)
        normalise = normalisation_of(trained.backbone)

        def candidates_of(batch: list[Sample]) -> list[Candidates]:
            images = normalise(image_batch(batch)).to(device)
            regions: Sequence[np.ndarray | None] = [None] * len(batch)
            with torch.inference_mode():
                probabilities = network.predict(images, self.scales, self.flip).cpu()
                if trained.learns_superpixels:
                    regions = network.superpixels(images).cpu().numpy().astype(np.uint16)
            found = []
            for sample, values, region in zip(batch, probabilities, regions, strict=True):
                classes = self._candidates(sample, values)
                found.append(Candidates(values[classes].half().numpy(), classes.numpy(), region))
            return found

        refine = None
        if self.crf != "none":
            refine = functools.partial(
                crf_from_probabilities, constants=CRF_PRESETS[self.crf], engine=self.crf_engine, device=str(device)
            )
        for shard in shards:
            here = [samples[number] for number in store.images_of(shard)]
            numbers = store.images_of(shard)
            voters = [(task.artifact.path, numbers) for task in self._voters()]
            yield store.path, shard, here, map_images(here, self.batch_size, candidates_of), refine, *voters

    def _candidates(self, sample: Sample, probabilities):
        """Classes the image may hold: background and its tags (train), or what the network thinks possible."""
        import torch

        if self.split == TRAIN:
            return torch.tensor([0, *sample.tags])
        likely = probabilities.amax(dim=(-2, -1)) >= UNLIKELY
        likely[0] = True
        return likely.nonzero()[:, 0]


def label_shard(
    path: Path,
    shard: int,
    samples: Sequence[Sample],
    candidates: Sequence[Candidates],
    refine: Callable[..., np.ndarray] | None,
    surface: tuple[Path, Sequence[int]] | None = None,
) -> int:
    """CRF, argmax and writing of one shard; returns its number of images.

    `surface` is the artifact of LoadDepth and the numbers of the images in it.
    """
    from models.depth_vote import vote_by_depth

    labels = []
    for place, (sample, found) in enumerate(zip(samples, candidates, strict=True)):
        values = found.probabilities.astype(np.float32)
        if refine:
            values = refine(read_image(sample.image), values)
        if surface:
            store, numbers = surface
            depth, valid = read_surface(ShardedStore(store), numbers[place], sample.size)
            values = vote_by_depth(values, read_image(sample.image), depth, valid)
        labels.append(found.classes[values.argmax(0)].astype(np.uint8))
    arrays = {"label": labels}
    if candidates[0].superpixels is not None:
        arrays["superpixel"] = [found.superpixels for found in candidates]
    ShardedStore(path).write_shard(shard, arrays)
    return len(samples)
