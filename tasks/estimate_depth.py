"""Stage 2a: depth of the images from a monocular estimator, for data sets without a sensor."""

from __future__ import annotations

from pathlib import Path

import luigi

from data.errors import WeightsError
from data.files.fingerprint import hash_file
from data.files.images import read_image
from data.sample import Sample
from data.store.sharded import ArraySpec
from tasks.index_dataset import IndexDataset
from tasks.runtime.image_stage import SplitTask
from tasks.runtime.layout import SHARD_SIZE, create_store, padded_size


class EstimateDepth(SplitTask):
    """Runs only where LoadDepth takes its depth from here (``--LoadDepth-source estimate``)."""

    resources = {"gpu": 1}

    model = luigi.Parameter(
        default="depth-anything/Depth-Anything-V2-Small-hf", description="hub name of a depth network, or its folder"
    )
    gives = luigi.ChoiceParameter(
        default="inverse", choices=("inverse", "metres"), description="what the network predicts"
    )
    near = luigi.FloatParameter(default=0.5, description="inverse: metres given to the nearest 1 % of an image")
    far = luigi.FloatParameter(default=2.0, description="inverse: metres given to the farthest 1 % of an image")
    batch_size = luigi.IntParameter(default=4, significant=False)
    shard_size = luigi.IntParameter(default=SHARD_SIZE, description="images a shard")

    def requires(self):
        return self.upstream(IndexDataset)

    def content_identity(self):
        folder = Path(self.model)
        return {path.name: hash_file(path) for path in sorted(folder.glob("*")) if path.is_file()}

    def work(self) -> int:
        import torch

        from models.depth_estimation import depth_of_disparity
        from tasks.runtime.batches import map_images
        from tasks.runtime.training_loop import choose_device

        index, samples = self.index, self.samples
        estimator = self._estimator().to(choose_device(self.device)).eval()
        arrays = {
            "depth": ArraySpec(
                ("y", "x"), padded_size(samples), "float32", float("nan"),
                {"units": "m", "long_name": f"depth estimated by {self.model}"},
            ),
        }  # fmt: skip
        store = create_store(self.artifact, index, samples, arrays, self.description(), self.shard_size)

        def depth_of(batch: list[Sample]) -> list:
            with torch.inference_mode():
                estimates = estimator([read_image(sample.image).copy() for sample in batch])  # writable
            if self.gives == "inverse":
                estimates = [depth_of_disparity(values, self.near, self.far) for values in estimates]
            return [values.cpu().numpy() for values in estimates]

        missing = store.missing_shards()
        for shard in self.progress(missing, len(missing), "shard"):
            here = [samples[number] for number in store.images_of(shard)]
            store.write_shard(shard, {"depth": map_images(here, self.batch_size, depth_of)})
        return sum(len(store.images_of(shard)) for shard in missing)

    def _estimator(self):
        try:
            from transformers import AutoImageProcessor, AutoModelForDepthEstimation
        except ImportError as error:
            raise WeightsError(
                "depth estimation needs the package transformers: pip install 'depthseed[estimate]'"
            ) from error
        from models.depth_estimation import DepthEstimator

        try:
            return DepthEstimator(
                AutoModelForDepthEstimation.from_pretrained(self.model), AutoImageProcessor.from_pretrained(self.model)
            )
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"depth network '{self.model}' cannot be had ({str(error).splitlines()[0]}); download its folder on a "
                "machine that reaches the hub and name it: --EstimateDepth-model /path/to/folder"
            ) from error
