"""Stages over images: a stage declares its arrays and computes one image; the shard engine does the rest.

::

    class ThresholdCams(ImageStage):
        threshold = luigi.FloatParameter(default=0.5, description="CAM above which a pixel is foreground")

        def requires(self):
            return {"dataset": self.upstream(IndexDataset), "cams": self.upstream(ExtractCams)}

        def arrays(self, samples):
            return {"mask": label_map(samples, "1 where a CAM is above the threshold")}

        def compute(self, sample, inputs):
            return {"mask": (inputs["cams"].read("cam").max(0) > self.threshold).astype(np.uint8)}
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
"""What a network computes: samples of one image size -> one result per sample."""


class ImageStage(StageTask):
    """A stage over the images of a split, the train split unless it is told otherwise.

    A subclass gives `arrays` and `compute`, and `batch_function` where a network runs over batches of images.
    """

    shard_size = luigi.IntParameter(default=SHARD_SIZE, description="images per shard")

    split: Any = TRAIN
    batch_size: Any = 1

    @property
    def in_workers(self) -> bool:
        """True if shards are computed in worker processes; false where they cost more than they give."""
        return True

    @property
    def samples(self) -> Sequence[Sample]:
        """What the stage works on."""
        return self.inputs["dataset"].split(self.split)

    def arrays(self, samples: Sequence[Sample]) -> dict[str, ArraySpec]:
        """The arrays that this stage writes."""
        raise NotImplementedError

    def compute(self, sample: Sample, inputs: ImageInputs) -> Mapping[str, np.ndarray]:
        """The values of one image by array, without padding.

        It runs in any process and must not use ``self.inputs``. By default it gives what `batch_function` computed.

        Parameters
        ----------
        sample : Sample
        inputs : ImageInputs
            ``inputs["cams"].read("cam")`` is this image's part of an array upstream.
        """
        return inputs.inferred

    def batch_function(self, dataset: DatasetIndex) -> BatchFunction | None:
        """A network at work on the device of this process; None where there is none."""
        return None

    def work(self) -> int:
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
                yield ShardJob(self.compute, indices, here, stores, dataset.num_classes, inferred, store, shard)

        workers = (self.processes, self.dask) if self.in_workers else (1, "")
        executor = executor_for(workers[0], len(missing), workers[1])
        return sum(self.progress(executor.map(write_shard, jobs()), len(missing), "shard"))


class OfSplit:
    """For stages over the split that a parameter names: each split has an artifact and a label of its own."""

    split = one_of((TRAIN, EVALUATION), TRAIN, "images that are read")

    @property
    def label(self) -> str:
        return type(self).__name__ if self.split == TRAIN else f"{type(self).__name__}-{self.split}"


class SplitStage(OfSplit, ImageStage):
    """An `ImageStage` over the split that a parameter names."""


def _inferred(network: BatchFunction | None, samples: Sequence[Sample], batch_size: int) -> Sequence | None:
    if network is None:
        return None
    from tasks.runtime.tensors import map_images

    return map_images(samples, batch_size, network)
