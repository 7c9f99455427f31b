"""Saliency corrected by CAMs: objects with high CAMs are added, and salient pixels with low CAMs become unlabelled."""

from __future__ import annotations

import numpy as np

from data.errors import QualityError
from data.sample import UNLABELLED
from tasks.extract_cams import ExtractCams, read_cam
from tasks.index_dataset import IndexDataset
from tasks.load_saliency import LoadSaliency
from tasks.runtime.image_stage import ImageStage
from tasks.runtime.layout import label_map
from tasks.runtime.numeric import number, require_order
from tasks.runtime.parameters import flag, only
from tasks.runtime.stage import Stages


class RefineSaliency(ImageStage):
    """Saliency as 0, 1 or unlabelled (uint16), refined by CAMs (S. Kim, SNU 2022, eqs. 2.5, 2.6)."""

    version = 2

    refine = flag(True, "refine by CAMs; false: only apply the threshold")
    threshold = number(0.5, "saliency above which a pixel is salient", at_least=0, below=1)
    sure = only(
        number(0.8, "CAM value above which every pixel is salient (tau 1)", at_least=0, at_most=1),
        refine=True,
    )
    doubtful = only(
        number(0.3, "CAM value below which a salient pixel is unlabelled (tau 2)", at_least=0, at_most=1),
        refine=True,
    )

    def check(self):
        require_order(self, "doubtful", "sure")

    def requires(self):
        stages: Stages = {"dataset": self.upstream(IndexDataset), "saliency": self.upstream(LoadSaliency)}
        if self.refine:
            stages["cams"] = self.upstream(ExtractCams)
        return stages

    def arrays(self, samples):
        return {"salient": label_map(samples, "0 not salient, 1 salient, 65535 unlabelled")}

    def count(self, sample, image, num_classes):
        salient = image.read("salient")
        return np.array([(salient == value).sum() for value in (0, 1)])

    def findings(self):
        background, salient = self.counts()
        if not salient:
            raise QualityError(
                f"RefineSaliency: no pixel of {len(self.samples)} images is salient, so no object can be learnt; "
                "lower --RefineSaliency-threshold, or look at the saliency maps: python -m pipeline show LoadSaliency"
            )
        return [] if background else ["every labelled pixel is salient: there is no background to learn"]

    def compute(self, sample, inputs):
        import torch

        from models.saliency import refine_saliency

        salient = torch.from_numpy(inputs["saliency"].read("saliency") > self.threshold)
        if self.refine:
            cam, _ = read_cam(inputs["cams"])
            salient = refine_saliency(salient, cam, self.sure, self.doubtful, UNLABELLED)
        return {"salient": salient.numpy().astype(np.uint16)}
