"""Stage 7: initial seeds from CAMs and superpixels, or from objects that templates have named."""

from __future__ import annotations

import logging

import numpy as np

from tasks.discover_superpixels import DiscoverSuperpixels
from tasks.extract_cams import ExtractCams, read_cam
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth, read_surface
from tasks.match_objects import MatchObjects
from tasks.runtime.corrections import UsesCorrections
from tasks.runtime.image_stage import ImageStage
from tasks.runtime.layout import label_map
from tasks.runtime.numeric import number, require_order, whole
from tasks.runtime.parameters import one_of, only
from tasks.runtime.quality import class_pixels, classes_without, require_labels
from tasks.runtime.stage import Stages

log = logging.getLogger("depthseed")


class GenerateSeeds(UsesCorrections, ImageStage):
    """Label maps of the few pixels whose class is certain; all others are unlabelled (S. Kim, SNU 2022).

    A pixel is foreground if a CAM is above alpha (eq. 3.4). A superpixel with a low mean CAM is background (eq. 3.5).
    The parameter gamma and the background from the support plane are ours. With ``background=threshold``, these are the
    seeds that section 1.1.3 calls a popular procedure (eqs. 1.12, 1.13): no superpixel is used. With ``source=match``,
    the seeds are the objects that MatchObjects has named (ours); a tagged image without a named object has no seed.

    An image with a corrected label map has this map as its seed (`UsesCorrections`; ours).
    """

    version = 3
    in_workers = False  # a shard takes a fraction of a second

    source = one_of(("cams", "match"), "cams", "where seeds come from: CAMs, or objects that templates have named")
    alpha = only(number(0.4, "CAM value above which a pixel is foreground", at_least=0, below=1), source="cams")
    background = only(
        one_of(
            ("superpixel", "plane", "threshold"),
            "superpixel",
            "source of background seeds; plane: the support plane in depth, or superpixels if there is no plane; "
            "threshold: pixels with low CAMs, the plain baseline",
        ),
        source="cams",
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
    band = only(
        whole(2, "pixels on both sides of the border of an object without a label", at_least=0, at_most=100),
        source="match",
    )

    def check(self):
        if self.source == "cams" and self.background == "threshold":
            require_order(self, "faint", "alpha")

    @property
    def uses_seed(self):
        return self.source == "cams" and self.background == "plane"

    def requires(self):
        if self.source == "match":
            matches = self.upstream(MatchObjects)
            return {
                "dataset": self.upstream(IndexDataset),
                "matches": matches,
                "proposals": matches.required["proposals"],
            }
        stages: Stages = {
            "dataset": self.upstream(IndexDataset),
            "cams": self.upstream(ExtractCams),
        }
        if self.background != "threshold":
            stages["superpixels"] = self.upstream(DiscoverSuperpixels)
        if self.background == "plane":
            stages["depth"] = self.upstream(LoadDepth)
        return stages

    def content_identity(self):
        plane = {"support plane": "2"} if self.uses_seed else {}
        objects = {"seeds of objects": "2"} if self.source == "match" else {}
        return {**plane, **objects, **super().content_identity()}

    def work(self) -> int:
        if self.corrected:
            log.info("GenerateSeeds: %d images have corrections, which replace their seeds", len(self.corrected))
        return super().work()

    def arrays(self, samples):
        return {"seed": label_map(samples, "initial seed: 0 background, 1.. class, 65535 unlabelled")}

    def count(self, sample, image, num_classes):
        return class_pixels(image.read("seed"), num_classes)

    def findings(self):
        pixels = self.counts()
        require_labels(
            self,
            pixels,
            "look at what they come from: python -m pipeline show MatchObjects"
            if self.source == "match"
            else "lower --GenerateSeeds-alpha, or look at the CAMs: python -m pipeline show ExtractCams",
        )
        return classes_without(self, pixels, "seed pixel")

    def compute(self, sample, inputs):
        seed = self.correction(sample, inputs.num_classes)
        if seed is None:
            seed = self._of_objects(sample, inputs) if self.source == "match" else self._of_cams(inputs)
        return {"seed": seed.astype(np.uint16)}

    def _of_objects(self, sample, inputs):
        from models.match_seeds import seeds_of_objects

        labels = inputs["matches"].read("label").astype(np.int64)
        unnamed = labels == 0
        if labels.any() or not sample.tags:  # else the objects of the tags are somewhere: nothing is surely background
            unnamed &= inputs["proposals"].read("instance") > 0
        return seeds_of_objects(labels, unnamed, self.band)

    def _of_cams(self, inputs):
        import torch

        from models.depth_saliency import support_plane
        from models.seeds import initial_seed, threshold_seed

        cam, classes = read_cam(inputs["cams"])
        if self.background == "threshold":
            return threshold_seed(cam, classes, self.alpha, self.faint).numpy()
        superpixels = torch.from_numpy(inputs["superpixels"].read("superpixel").astype(np.int64))
        background = None
        if self.background == "plane":
            plane = support_plane(*read_surface(inputs["depth"]), seed=self.seed)
            background = torch.from_numpy(plane) if plane.any() else None
        return initial_seed(cam, classes, superpixels, self.alpha, self.gamma, background).numpy()
