"""Stage 7: the initial seed, from CAMs and superpixels."""

from __future__ import annotations

import luigi
import numpy as np

from tasks.discover_superpixels import DiscoverSuperpixels
from tasks.extract_cams import ExtractCams, read_cam
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth, read_surface
from tasks.runtime.image_stage import ImageStage
from tasks.runtime.layout import label_map
from tasks.runtime.parameters import one_of
from tasks.runtime.stage import Stages


class GenerateSeeds(ImageStage):
    """Foreground where the CAM exceeds alpha (eq. 3.4), background where a superpixel has next to none (eq. 3.5)."""

    in_workers = False  # a shard takes a fraction of a second

    alpha = luigi.FloatParameter(default=0.4, description="CAM above which a pixel is foreground")
    gamma = luigi.FloatParameter(
        default=0.02,
        description="mean CAM below which a superpixel is background; 0 = only the one with the lowest (eq. 3.5)",
    )
    background = one_of(
        ("superpixel", "plane"),
        "superpixel",
        "where background comes from; plane: the support plane in depth, superpixels where there is no plane",
    )

    @property
    def uses_seed(self):
        return self.background == "plane"

    def requires(self):
        stages: Stages = {
            "dataset": self.upstream(IndexDataset),
            "cams": self.upstream(ExtractCams),
            "superpixels": self.upstream(DiscoverSuperpixels),
        }
        if self.background == "plane":
            stages["depth"] = self.upstream(LoadDepth)
        return stages

    def arrays(self, samples):
        return {"seed": label_map(samples, "initial seed: 0 background, 1.. class, 255 unlabelled")}

    def compute(self, sample, inputs):
        import torch

        from models.depth_saliency import support_plane
        from models.seeds import initial_seed

        cam, classes = read_cam(inputs["cams"])
        superpixels = torch.from_numpy(inputs["superpixels"].read("superpixel").astype(np.int64))
        background = None
        if self.background == "plane":
            plane = support_plane(*read_surface(inputs["depth"]), seed=self.seed)
            background = torch.from_numpy(plane) if plane.any() else None
        return {"seed": initial_seed(cam, classes, superpixels, self.alpha, self.gamma, background).numpy()}
