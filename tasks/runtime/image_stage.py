"""Stages over images. A stage declares its arrays and computes one image. The shard engine does the rest.

::

    class ThresholdSaliency(ImageStage):
        threshold = luigi.FloatParameter(default=0.5, description="saliency above which a pixel is salient")

        def requires(self):
            return {"dataset": self.upstream(IndexDataset), "saliency": self.upstream(LoadSaliency)}

        def arrays(self, samples):
            return {"mask": label_map(samples, "1 where the saliency is above the threshold")}

        def compute(self, sample, inputs):
            return {"mask": (inputs["saliency"].read("saliency") > self.threshold).astype(np.uint8)}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import luigi
import numpy as np

from data.sample import EVALUATION, TRAIN, DatasetIndex, Sample
from data.store.sharded import ArraySpec
from tasks.runtime.layout import SHARD_SIZE, create_store
from tasks.runtime.parameters import one_of
from tasks.runtime.shards import ImageInputs, ShardJob, open_stores, write_shard
from tasks.runtime.stage import StageTask

BatchFunction = Callable[[list[Sample]], Iterable]
"""What a network computes: samples whose images have one size -> one result per sample, in their order."""


class ImageStage(StageTask):
    """A stage over the images of a split. The default is the train split.

    A subclass defines `arrays` and `compute`. If a network runs over batches of images, it defines `batch_function`.
    ``requires()`` must name an IndexDataset as ``dataset``.
    """

    shard_size = luigi.IntParameter(default=SHARD_SIZE, description="images per shard")

    split: Any = TRAIN
    """`TRAIN` or `EVALUATION`; a parameter in `SplitStage`."""

    batch_size: Any = 1
    """Images per batch of `batch_function`; a parameter in the stages that have one."""

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
        store = create_store(self.artifact, dataset, samples, self.arrays(samples), self.description(), self.shard_size)
        missing = store.missing_shards()
        network = self.batch_function(dataset) if missing else None
        stores = open_stores(self.inputs)

        def jobs():
            for shard in missing:
                indices = store.images_of(shard)
                here = [samples[index] for index in indices]
                inferred = _inferred(network, here, self.batch_size)
                job = ShardJob(self.compute, indices, here, stores, dataset.num_classes, inferred, store, shard)
                del inferred
                yield job
                del job  # one shard of network results is in memory, not two

        workers = (self.processes, self.dask) if self.in_workers else (1, "")
        executor = executor_for(workers[0], len(missing), workers[1])
        return sum(self.progress(executor.map(write_shard, jobs()), len(missing), "shard"))


class OfSplit:
    """Mixin: the parameter ``split`` names the split of the stage. Each split has its own artifact and label."""

    split = one_of((TRAIN, EVALUATION), TRAIN, "split whose images are used")

    @property
    def label(self) -> str:
        return type(self).__name__ if self.split == TRAIN else f"{type(self).__name__}-{self.split}"


class SplitStage(OfSplit, ImageStage):
    """An `ImageStage` whose parameter ``split`` names the split."""


def _inferred(network: BatchFunction | None, samples: Sequence[Sample], batch_size: int) -> Sequence | None:
    if network is None:
        return None
    from tasks.runtime.tensors import map_images

    return map_images(samples, batch_size, network)
