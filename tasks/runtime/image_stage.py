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

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from data.sample import EVALUATION, TRAIN, DatasetIndex, Sample
from data.store.tiles import ArraySpec
from models.input_size import LARGEST_INPUT, limited_scale
from tasks.runtime.layout import SHARD_SIZE, create_store, images_per_shard
from tasks.runtime.numeric import whole
from tasks.runtime.parameters import one_of
from tasks.runtime.shards import ImageInputs, ShardJob, open_stores, write_shard
from tasks.runtime.stage import StageTask

log = logging.getLogger("depthseed")

BatchFunction = Callable[[list[Sample]], Iterable]
"""What a network computes: samples whose images have one size -> one result per sample, in their order."""


class ImageStage(StageTask):
    """A stage over the images of a split. The default is the train split.

    A subclass defines `arrays` and `compute`. If a network runs over batches of images, it defines `batch_function`.
    ``requires()`` must name an IndexDataset as ``dataset``.
    """

    shard_size = whole(SHARD_SIZE, "maximum number of images per shard; fewer if they take more than 64 MB", at_least=1)

    split: Any = TRAIN
    """`TRAIN` or `EVALUATION`; a parameter in `SplitStage`."""

    batch_size: Any = 1
    """Images per batch of `batch_function`; a parameter in the stages that have one."""

    @property
    def values_per_pixel(self) -> float:
        """Values that the network returns per pixel of an image; it limits the batches."""
        return 1.0

    @property
    def network_scales(self) -> tuple[float, ...]:
        """Scales at which `batch_function` shows an image to the network; limited by `models.input_size`."""
        return ()

    @property
    def in_workers(self) -> bool:
        """True if shards are computed in worker processes. False if starting them takes longer than they save."""
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
        sizes = np.array([sample.size for sample in samples], np.int64)
        return np.sum([spec.image_bytes(sizes) for spec in self.arrays(samples).values()], axis=0)

    def compute(self, sample: Sample, inputs: ImageInputs) -> Mapping[str, np.ndarray]:
        """The values of one image: name of the array -> values without padding.

        This runs in any process and must not use ``self.inputs``. The default returns the result of `batch_function`.

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

    def batch_function(self, dataset: DatasetIndex) -> BatchFunction | None:
        """A function that runs the network of the stage on the device of this process; None if there is no network."""
        return None

    def work(self) -> int:
        """Compute the missing shards. Returns the number of computed images."""
        from tasks.runtime.executors import executor_for

        dataset, samples = self.inputs["dataset"], self.samples
        shard_size = images_per_shard(self.image_bytes(samples), self.shard_size) if samples else 1
        store = create_store(self.artifact, dataset, samples, self.arrays(samples), self.description(), shard_size)
        self._tell_limited(samples)
        missing = store.missing_shards()
        network = self.batch_function(dataset) if missing else None
        stores = open_stores(self.inputs)

        def jobs():
            for shard in missing:
                indices = store.images_of(shard)
                here = [samples[index] for index in indices]
                inferred = _inferred(network, here, self.batch_size, self.values_per_pixel)
                job = ShardJob(self.compute, indices, here, stores, dataset.num_classes, inferred, store, shard)
                del inferred
                yield job
                del job  # one shard of network results is in memory, not two

        workers = (self.processes, self.dask) if self.in_workers else (1, "")
        executor = executor_for(workers[0], len(missing), workers[1], self.shard_timeout)
        return sum(self.progress(executor.map(write_shard, jobs()), len(missing), "shard"))

    def _write_findings(self) -> None:
        if self.samples:  # an empty split is found by IndexDataset
            super()._write_findings()

    def _tell_limited(self, samples: Sequence[Sample]) -> None:
        wanted = max(self.network_scales, default=0.0)
        limited = [sample.image_id for sample in samples if limited_scale(sample.size, wanted) < wanted]
        if limited:
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


def _inferred(
    network: BatchFunction | None, samples: Sequence[Sample], batch_size: int, values_per_pixel: float
) -> Sequence | None:
    if network is None:
        return None
    from tasks.runtime.tensors import map_images

    return map_images(samples, batch_size, network, values_per_pixel)
