"""Stage 5: one feature vector a patch of the images, without any training."""

from __future__ import annotations

import luigi
import numpy as np

from data.sample import Sample
from data.store.sharded import ArraySpec
from tasks.index_dataset import IndexDataset
from tasks.runtime.image_stage import SplitTask
from tasks.runtime.layout import SHARD_SIZE, create_store


class ExtractKeys(SplitTask):
    """Keys of a ViT's last attention block, or features of a CNN's stage."""

    resources = {"gpu": 1}

    backbone = luigi.Parameter(default="tf_efficientnet_lite0", description="timm name of a ViT or a CNN")
    weights = luigi.Parameter(default="package", description="hub, package, random, or a file of weights")
    stride = luigi.IntParameter(default=16, description="CNN: the deepest stage of this stride")
    image_scale = luigi.FloatParameter(default=2.0, description="size of the image, relative; finer patches above 1")
    batch_size = luigi.IntParameter(default=8, significant=False)
    shard_size = luigi.IntParameter(default=SHARD_SIZE, description="images a shard")

    def requires(self):
        return self.upstream(IndexDataset)

    def content_identity(self):
        from tasks.runtime.weights import weights_identity

        return {"weights": weights_identity(self.weights, self.backbone)}

    def work(self) -> int:
        import torch
        import torch.nn.functional as F

        from tasks.runtime.batches import image_batch, map_images
        from tasks.runtime.networks import build_keys, normalisation_of
        from tasks.runtime.training_loop import choose_device

        index, samples = self.index, self.samples
        device = choose_device(self.device)
        torch.manual_seed(0)  # weights=random
        network = build_keys(self).to(device).eval()
        normalise = normalisation_of(self.backbone)
        grids = [network.grid(self.scaled(sample.size)) for sample in samples]
        grid = tuple(max(sizes) for sizes in zip(*grids))
        arrays = {
            "key": ArraySpec(
                ("patch_y", "patch_x", "channel"), (*grid, network.dim), "float16", float("nan"),
                {"long_name": f"features of {self.backbone}"},
            ),
            "grid": ArraySpec(("axis",), (2,), "int32", 0, {"long_name": "patch rows and columns of the image"}),
        }  # fmt: skip
        store = create_store(self.artifact, index, samples, arrays, self.description(), self.shard_size)

        def keys_of(batch: list[Sample]) -> np.ndarray:
            images = image_batch(batch)
            size = self.scaled(tuple(images.shape[-2:]))
            if size != tuple(images.shape[-2:]):
                images = F.interpolate(images, size=size, mode="bicubic", align_corners=False, antialias=True)
            with torch.inference_mode():
                return network(normalise(images.clamp(0, 1)).to(device)).cpu().half().numpy()

        missing = store.missing_shards()
        for shard in self.progress(missing, len(missing), "shard"):
            here = [samples[number] for number in store.images_of(shard)]
            keys = map_images(here, self.batch_size, keys_of)
            store.write_shard(shard, {"key": keys, "grid": np.array([values.shape[:2] for values in keys], np.int32)})
        return sum(len(store.images_of(shard)) for shard in missing)

    def scaled(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width at which the network sees an image."""
        return tuple(max(1, round(side * self.image_scale)) for side in size)
