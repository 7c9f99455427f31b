"""Stages over images. A stage declares its arrays and computes one image. The shard engine does the rest.

::

    class ThresholdSaliency(ImageStage):
        threshold = number(0.5, "saliency above which a pixel is salient", at_least=0, below=1)

        def requires(self):
            return {"dataset": self.upstream(IndexDataset), "saliency": self.upstream(LoadSaliency)}

        def arrays(self, samples):
            return {"mask": label_map(samples, "1 where the saliency is above the threshold")}

        def compute(self, sample, inputs):
            return {"mask": (inputs["saliency"].read("saliency") > self.threshold).astype(np.uint8)}
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from data.sample import EVALUATION, TRAIN, Sample
from data.store.artifact import hash_text
from data.store.sharded import StoredImage
from data.store.tiles import ArraySpec
from models.input_size import LARGEST_INPUT, limited_scale
from tasks.runtime.devices import usable_cores
from tasks.runtime.layout import SHARD_SIZE, create_store, images_per_shard, sizes_of
from tasks.runtime.numeric import whole
from tasks.runtime.parameters import one_of
from tasks.runtime.shards import ComputedImage, ImageInputs, ShardJob, open_stores, write_shard
from tasks.runtime.stage import StageTask

if TYPE_CHECKING:
    from tasks.runtime.network_map import BatchNetwork, NetworkSource

log = logging.getLogger("depthseed")


class ImageStage(StageTask):
    """A stage over the images of a split. The default is the train split.

    A subclass defines `arrays` and `compute`. If it has a network, it defines `network_inputs` and `network`.
    ``requires()`` must name an IndexDataset as ``dataset``.
    """

    shard_size = whole(SHARD_SIZE, "maximum number of images per shard; fewer if they take more than 64 MB", at_least=1)

    split: Any = TRAIN
    """`TRAIN` or `EVALUATION`; a parameter in `SplitStage`."""

    batch_size: Any = 1
    """Images per batch of the network; a parameter in the stages that have one."""

    @property
    def values_per_pixel(self) -> float:
        """Values that the network returns per pixel of an image; it limits the batches."""
        return 1.0

    @property
    def network_scales(self) -> tuple[float, ...]:
        """Scales at which an image is shown to the network; limited by `models.input_size`."""
        return ()

    def seen_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width at which the network sees an image of `size`, before `network_scales`."""
        return size

    @property
    def in_workers(self) -> bool:
        """True if `compute` takes long, so that worker processes compute the shards on the CPU of this machine."""
        return True

    @property
    def samples(self) -> Sequence[Sample]:
        """The images of the stage, in the order of the artifact."""
        return self.inputs["dataset"].split(self.split)

    def arrays(self, samples: Sequence[Sample]) -> dict[str, ArraySpec]:
        """The arrays that this stage writes: name -> layout (`tasks.runtime.layout` makes the usual ones)."""
        raise NotImplementedError

    @property
    def num_classes(self) -> int:
        """Number of foreground classes K of the data set."""
        return self.inputs["dataset"].num_classes

    def image_bytes(self, samples: Sequence[Sample]) -> np.ndarray:
        """What each image takes in memory until its shard is written, (N,) float in bytes."""
        sizes = sizes_of(samples)
        return np.sum([spec.image_bytes(sizes) for spec in self.arrays(samples).values()], axis=0)

    def compute(self, sample: Sample, inputs: ImageInputs) -> Mapping[str, np.ndarray]:
        """The values of one image: name of the array -> values without padding.

        This runs in any process and must not use ``self.inputs``. The default returns the result of the network.

        Parameters
        ----------
        sample : Sample
        inputs : ImageInputs
            ``inputs["cams"].read("cam")`` is the part of this image in an array of a stage upstream.

        Returns
        -------
        dict of name -> ndarray
            One entry per array of `arrays`, each at most as large as its layout.
        """
        return inputs.inferred

    def count(self, sample: Sample, image: StoredImage | ComputedImage, num_classes: int) -> np.ndarray | None:
        """What `findings` needs of one image of the artifact: numbers that are added up over the images (`counts`).

        This runs in any process and must not use ``self.inputs``. None: nothing is needed.
        """
        return None

    _counted: tuple[Any, set[int]] = (0, set())
    """Sum of what was counted in this run, and the shards that it is of."""

    def network_inputs(self) -> dict[str, Any] | None:
        """What `network` needs besides the parameters, such as the trained network; None if the stage has no network.

        It is sent to worker processes.
        """
        return None

    def network(self, *args: Any, **inputs: Any) -> BatchNetwork:  # any signature: mypy knows this form
        """The network on the device of this process, ready to compute.

        This runs in any process and must not use ``self.inputs``: it gets what `network_inputs` has returned.
        """
        raise NotImplementedError

    def work(self) -> int:
        """Compute the missing shards. Returns the number of computed images."""
        from tasks.runtime.placement import place_of

        dataset, samples = self.inputs["dataset"], self.samples
        shard_size = images_per_shard(self.image_bytes(samples), self.shard_size) if samples else 1
        store = create_store(self.artifact, dataset, samples, self.arrays(samples), self.description(), shard_size)
        self._tell_limited(samples)
        if not (missing := store.missing_shards()):
            return 0
        network = self._network_source()
        place = place_of(self, len(missing), network is not None)
        here = None if network is None or place.network_is_sent else network.load()
        # A worker has one core, or a GPU.
        sent = dataclasses.replace(network, lanes=1) if network is not None and place.network_is_sent else None
        if here is not None:
            here.use = self.device_use
        stores = open_stores(self.inputs)
        count = None if type(self).count is ImageStage.count else self.count

        def of(shard: int) -> list[Sample]:
            return [samples[index] for index in store.images_of(shard)]

        def jobs() -> Iterator[ShardJob]:
            inferred = here.shards(map(of, missing)) if here is not None else itertools.repeat(None)
            for shard, found in zip(missing, inferred):
                yield ShardJob(
                    self.compute, store.images_of(shard), of(shard), stores, dataset.num_classes, found, store, shard,
                    sent, count=count,
                )  # fmt: skip
                del found  # the results of a shard are in memory until it is written, not longer

        images, total = 0, 0
        for written in self.progress(place.executor.map(write_shard, jobs()), len(missing), "shard"):
            images += written.images
            self.device_use.add(written.use)
            total = total if written.counts is None else total + written.counts
        self._counted = total, set(missing)
        return images

    def counts(self) -> np.ndarray:
        """What `count` returned, added up over all images of the artifact.

        The shards of this run were counted where they were computed. Only those of an interrupted run are read again.
        """
        total, done = self._counted
        samples, num_classes = self.samples, self.num_classes
        for shard in set(range(self.artifact.num_shards())) - done:
            for index in self.artifact.images_of(shard):
                image = self.artifact.image(index, samples[index].size)
                total = total + self.count(samples[index], image, num_classes)
        return total

    def _network_source(self) -> NetworkSource | None:
        if (inputs := self.network_inputs()) is None:
            return None
        from tasks.runtime.network_map import NetworkSource

        # The identity is not enough: what is read may be made anew with other content, and batch_size is no part of it.
        key = hash_text(repr((self.description(), self.param_kwargs)))
        return NetworkSource(self, inputs, key, self.processes or usable_cores(), self.values_per_pixel)

    def _write_findings(self) -> None:
        if self.samples:  # an empty split is found by IndexDataset
            super()._write_findings()

    def _tell_limited(self, samples: Sequence[Sample]) -> None:
        wanted = max(self.network_scales, default=0.0)
        sizes = map(tuple, np.unique(sizes_of(samples), axis=0).tolist())
        large = {size for size in sizes if limited_scale(self.seen_size(size), wanted) < wanted}
        if large and (limited := [sample.image_id for sample in samples if sample.size in large]):
            log.warning(
                "%s: %d images are shown to the network at a scale below %g, with %.1f megapixels, the first is %s",
                self.label, len(limited), wanted, LARGEST_INPUT / 1e6, limited[0],
            )  # fmt: skip


class OfSplit:
    """Mixin: the parameter ``split`` names the split of the stage. Each split has its own artifact and label."""

    split = one_of((TRAIN, EVALUATION), TRAIN, "split whose images are used")

    @property
    def label(self) -> str:
        return type(self).__name__ if self.split == TRAIN else f"{type(self).__name__}-{self.split}"


class SplitStage(OfSplit, ImageStage):
    """An `ImageStage` whose parameter ``split`` names the split."""
