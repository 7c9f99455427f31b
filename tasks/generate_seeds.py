"""Stage 7: initial seeds from CAMs and superpixels."""

from __future__ import annotations

import numpy as np

from tasks.discover_superpixels import DiscoverSuperpixels
from tasks.extract_cams import ExtractCams, read_cam
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth, read_surface
from tasks.runtime.image_stage import ImageStage
from tasks.runtime.layout import label_map
from tasks.runtime.numeric import number, require_order
from tasks.runtime.parameters import one_of, only
from tasks.runtime.quality import class_pixels, classes_without, require_labels
from tasks.runtime.stage import Stages


class GenerateSeeds(ImageStage):
    """Label maps of the few pixels whose class is certain; all others are unlabelled (S. Kim, SNU 2022).

    A pixel is foreground if a CAM is above alpha (eq. 3.4). A superpixel with a low mean CAM is background (eq. 3.5).
    The parameter gamma and the background from the support plane are ours. With ``background=threshold``, these are the
    seeds that section 1.1.3 calls a popular procedure (eqs. 1.12, 1.13): no superpixel is used.
    """

    version = 2
    in_workers = False  # a shard takes a fraction of a second

    alpha = number(0.4, "CAM value above which a pixel is foreground", at_least=0, below=1)
    background = one_of(
        ("superpixel", "plane", "threshold"),
        "superpixel",
        "source of background seeds; plane: the support plane in depth, or superpixels if there is no plane; "
        "threshold: pixels with low CAMs, the plain baseline",
    )
    gamma = only(
        number(
            0.02,
            "mean CAM value below which a superpixel is background, 0 = only that of lowest mean (eq. 3.5)",
            at_least=0,
            at_most=1,
        ),
        background=("superpixel", "plane"),
    )
    faint = only(
        number(0.1, "CAM value below which a pixel is background (tau 3 of eq. 1.13)", at_least=0, at_most=1),
        background="threshold",
    )

    def check(self):
        if self.background == "threshold":
            require_order(self, "faint", "alpha")

    @property
    def uses_seed(self):
        return self.background == "plane"

    def requires(self):
        stages: Stages = {
            "dataset": self.upstream(IndexDataset),
            "cams": self.upstream(ExtractCams),
        }
        if self.background != "threshold":
            stages["superpixels"] = self.upstream(DiscoverSuperpixels)
        if self.background == "plane":
            stages["depth"] = self.upstream(LoadDepth)
        return stages

    def arrays(self, samples):
        return {"seed": label_map(samples, "initial seed: 0 background, 1.. class, 65535 unlabelled")}

    def count(self, sample, image, num_classes):
        return class_pixels(image.read("seed"), num_classes)

    def findings(self):
        pixels = self.counts()
        require_labels(
            self, pixels, "lower --GenerateSeeds-alpha, or look at the CAMs: python -m pipeline show ExtractCams"
        )
        return classes_without(self, pixels, "seed pixel")

    def compute(self, sample, inputs):
        import torch

        from models.depth_saliency import support_plane
        from models.seeds import initial_seed, threshold_seed

        cam, classes = read_cam(inputs["cams"])
        if self.background == "threshold":
            seed = threshold_seed(cam, classes, self.alpha, self.faint)
            return {"seed": seed.numpy().astype(np.uint16)}
        superpixels = torch.from_numpy(inputs["superpixels"].read("superpixel").astype(np.int64))
        background = None
        if self.background == "plane":
            plane = support_plane(*read_surface(inputs["depth"]), seed=self.seed)
            background = torch.from_numpy(plane) if plane.any() else None
        seed = initial_seed(cam, classes, superpixels, self.alpha, self.gamma, background)
        return {"seed": seed.numpy().astype(np.uint16)}
