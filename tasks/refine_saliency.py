"""Saliency corrected by CAMs: objects with high CAMs are added, and salient pixels with low CAMs become unlabelled."""

from __future__ import annotations

import numpy as np

from data.errors import DatasetError, QualityError
from data.files.labels import read_truth
from data.sample import BACKGROUND, TRAIN, UNLABELLED, Sample
from tasks.extract_cams import ExtractCams, read_cam
from tasks.index_dataset import IndexDataset
from tasks.load_saliency import LoadSaliency
from tasks.runtime.image_stage import ImageStage
from tasks.runtime.layout import label_map
from tasks.runtime.numeric import number, require_order
from tasks.runtime.parameters import flag, one_of, only
from tasks.runtime.stage import Stages

DOUBTFUL_VALUES = {"unlabelled": UNLABELLED, "background": BACKGROUND}
"""What salient pixels with low CAMs become -> its value."""


class RefineSaliency(ImageStage):
    """Saliency as 0, 1 or unlabelled (uint16), refined by CAMs (S. Kim, SNU 2022, eqs. 2.5, 2.6).

    Where the saliency is not known (NaN), pixels are unlabelled.

    With ``ground_truth=true``, this stage reads the ground truth of the train split: models C1 to C4 of table 2.3, an
    upper bound. Its warning says so.
    """

    version = 2

    ground_truth = flag(
        False, "take the objects of the GROUND TRUTH as saliency: an upper bound (table 2.3), no result of the method"
    )
    refine = only(flag(True, "refine by CAMs; false: only apply the threshold"), ground_truth=False)
    threshold = only(number(0.5, "saliency above which a pixel is salient", at_least=0, below=1), ground_truth=False)
    sure = only(
        number(0.8, "CAM value above which every pixel is salient (tau 1)", at_least=0, at_most=1),
        refine=True,
    )
    doubtful = only(
        number(0.3, "CAM value below which a salient pixel is doubtful (tau 2)", at_least=0, at_most=1),
        refine=True,
    )
    doubtful_is = only(
        one_of(
            tuple(DOUBTFUL_VALUES),
            "unlabelled",
            "what a doubtful pixel becomes; background is the worse variant of table 2.5",
        ),
        refine=True,
    )

    def check(self):
        require_order(self, "doubtful", "sure")

    def requires(self):
        stages: Stages = {"dataset": self.upstream(IndexDataset)}
        if self.ground_truth:
            return stages
        stages["saliency"] = self.upstream(LoadSaliency)
        if self.refine:
            stages["cams"] = self.upstream(ExtractCams)
        return stages

    def content_identity(self):
        return {"masks": self.required["dataset"].fingerprint(truth=True)} if self.ground_truth else {}

    def watched(self):
        truth = [self.required["dataset"].truth_files] if self.ground_truth else []
        return [*super().watched(), *truth]

    @property
    def samples(self):
        return self.required["dataset"].read_with_truth().split(TRAIN) if self.ground_truth else super().samples

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
        found = [] if background else ["every labelled pixel is salient: there is no background to learn"]
        if self.ground_truth:
            found.append("the saliency is the GROUND TRUTH: scores are an upper bound, not a result of weak labels")
        return found

    def compute(self, sample, inputs):
        import torch

        from models.saliency import refine_saliency

        if self.ground_truth:
            return {"salient": true_saliency(sample, inputs.num_classes)}
        saliency = inputs["saliency"].read("saliency")
        salient = torch.from_numpy(saliency > self.threshold)
        if self.refine:
            cam, _ = read_cam(inputs["cams"])
            salient = refine_saliency(salient, cam, self.sure, self.doubtful, DOUBTFUL_VALUES[self.doubtful_is])
        return {"salient": np.where(np.isnan(saliency), UNLABELLED, salient.numpy()).astype(np.uint16)}


def true_saliency(sample: Sample, num_classes: int) -> np.ndarray:
    """1 where the ground truth has an object, 0 in the background, 65535 where it is ignored, (H, W) uint16.

    Raises
    ------
    DatasetError
        If the image has no ground truth.
    """
    truth = read_truth(sample, num_classes)
    if truth is None:
        raise DatasetError(
            f"{sample.image_id}: has no ground truth to take saliency from; set --RefineSaliency-ground-truth false"
        )
    return np.where(truth == UNLABELLED, UNLABELLED, truth != BACKGROUND).astype(np.uint16)
