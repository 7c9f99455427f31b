"""One key per superpixel: the mean of the keys of its pixels."""

from __future__ import annotations

import numpy as np

from data.store.tiles import ArraySpec
from tasks.discover_superpixels import DiscoverSuperpixels
from tasks.extract_keys import ExtractKeys, read_keys
from tasks.index_dataset import IndexDataset
from tasks.runtime.image_stage import SplitStage


class PoolKeys(SplitStage):
    """Mean key of each superpixel, of length 1 (float16, superpixels x channels); NaN beyond the last superpixel."""

    def requires(self):
        return {
            "dataset": self.upstream(IndexDataset),
            "keys": self.upstream(ExtractKeys, split=self.split),
            "superpixels": self.upstream(DiscoverSuperpixels, split=self.split),
        }

    def arrays(self, samples):
        superpixels, keys = self.inputs["superpixels"], self.inputs["keys"]
        most = max((int(superpixels.read_image("count", index)) for index in range(len(samples))), default=1)
        channels = keys.array("key").shape[-1]
        name = "mean key of the superpixel"
        return {
            "key": ArraySpec(("superpixel", "channel"), (most, channels), "float16", float("nan"), {"long_name": name})
        }

    def compute(self, sample, inputs):
        import torch

        from models.clusters import superpixel_keys

        keys = read_keys(inputs["keys"])
        superpixels = inputs["superpixels"].read("superpixel").astype(np.int64)
        return {"key": superpixel_keys(torch.from_numpy(keys), torch.from_numpy(superpixels)).half().numpy()}
