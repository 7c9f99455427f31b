"""The cluster of each pixel: an unsupervised segmentation, whose groups have no names."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from tasks.discover_superpixels import NO_SUPERPIXEL, DiscoverSuperpixels
from tasks.index_dataset import IndexDataset
from tasks.learn_clusters import LearnClusters
from tasks.pool_keys import PoolKeys
from tasks.runtime.image_stage import SplitStage
from tasks.runtime.layout import image_map

if TYPE_CHECKING:
    from models.clusters import Clusters


class AssignClusters(SplitStage):
    """Maps of clusters, numbered from 0: that of a superpixel is the one with the nearest centre.

    Which class a cluster is, if any, only an evaluation can say (EvaluateMasks).
    """

    in_workers = False  # a shard takes a fraction of a second

    def requires(self):
        return {
            "dataset": self.upstream(IndexDataset),
            "clusters": self.upstream(LearnClusters),
            "keys": self.upstream(PoolKeys, split=self.split),
            "superpixels": self.upstream(DiscoverSuperpixels, split=self.split),
        }

    def arrays(self, samples):
        return {"cluster": image_map(samples, "uint16", NO_SUPERPIXEL, "cluster, 65535 = padding")}

    @functools.cached_property
    def clusters(self) -> Clusters:
        """What LearnClusters has found."""
        return self.required["clusters"].read()

    def work(self):
        _ = self.clusters  # read here, for all processes
        return super().work()

    def __reduce__(self):  # worker processes get what was read
        build, (stage, values) = super().__reduce__()
        return build, (stage, {**values, **{name: read for name, read in vars(self).items() if name == "clusters"}})

    def compute(self, sample, inputs):
        from models.clusters import assign_clusters

        keys = inputs["keys"].read("key").astype(np.float32)
        clusters = assign_clusters(keys[~np.isnan(keys[:, 0])], self.clusters)
        return {"cluster": clusters[inputs["superpixels"].read("superpixel")].astype(np.uint16)}

    def count(self, sample, image, num_classes):
        return np.bincount(np.unique(image.read("cluster")), minlength=len(self.clusters.centres))

    def findings(self):
        images = self.counts()
        empty = int((images == 0).sum())
        return [f"{empty} of {len(images)} clusters have no superpixel in this split"] if empty else []
