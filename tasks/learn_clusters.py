"""Groups of alike superpixels, found over the training images without their tags."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from data.errors import QualityError
from data.sample import TRAIN
from data.store.artifact import Artifact, write_bytes
from data.store.sharded import ShardedStore
from tasks.index_dataset import IndexDataset
from tasks.pool_keys import PoolKeys
from tasks.runtime.numeric import whole
from tasks.runtime.stage import StageTask

if TYPE_CHECKING:
    from models.clusters import Clusters

ARRAYS = "clusters.npy"
"""File of the mean key and the centres of the clusters, one below the other, (1 + C, D) float32."""


class LearnClusters(StageTask):
    """Writes clusters of the keys of the superpixels of the training images: k-means (`models.clusters`)."""

    artifact_type = Artifact

    clusters = whole(
        0, "number of clusters, 0 = one for each class and one for the background", at_least=0, at_most=60_000
    )
    most = whole(
        50_000, "number of superpixels that k-means looks at; if there are more, they are drawn at random", at_least=1
    )
    restarts = whole(10, "number of beginnings of k-means, of which the best counts", at_least=1, at_most=1000)

    @property
    def uses_seed(self):
        return True

    def requires(self):
        return {"dataset": self.upstream(IndexDataset), "keys": self.upstream(PoolKeys, split=TRAIN)}

    def work(self) -> int:
        from models.clusters import learn_clusters

        store = self.inputs["keys"]
        keys, images = self._drawn(store), store.num_images()
        count = self.clusters or self.inputs["dataset"].num_classes + 1
        try:
            mean, centres = learn_clusters(keys, count, self.seed, self.restarts)
        except ValueError as error:
            raise QualityError(
                f"{self.label}: {error}; there are {len(keys)} superpixels in {images} training images: lower "
                "--LearnClusters-clusters"
            ) from error
        file = io.BytesIO()
        np.save(file, np.vstack([mean, centres]))
        write_bytes(self.artifact.path / ARRAYS, file.getvalue())
        return images

    def _drawn(self, store: ShardedStore) -> np.ndarray:
        """Keys of the superpixels of all images, at most `most` of them, (N, D) float32, in the order of the images.

        Each superpixel draws a number, and those with the least ones are kept. No more than twice `most` are in memory,
        besides those of an image.
        """
        rng, images = np.random.default_rng(self.seed), store.num_images()
        keys, draws = np.empty((0, store.array("key").shape[-1]), np.float32), np.empty(0)
        waiting: list[np.ndarray] = []
        for index in self.progress(range(images), images):
            found = store.read_image("key", index).astype(np.float32)
            waiting.append(found[~np.isnan(found[:, 0])])
            if index == images - 1 or sum(map(len, waiting)) >= self.most:
                keys = np.concatenate([keys, *waiting])
                draws = np.concatenate([draws, rng.random(len(keys) - len(draws))])
                kept = np.sort(np.argsort(draws)[: self.most])
                keys, draws, waiting = keys[kept], draws[kept], []
        return keys

    def read(self) -> Clusters:
        """The clusters as written.

        Raises
        ------
        DamagedArtifactError
            If the file is missing or is not what was written.
        """
        from models.clusters import Clusters

        mean, *centres = np.load(io.BytesIO(self.artifact.read(ARRAYS)), allow_pickle=False)
        return Clusters(mean, np.stack(centres))
