"""A segmentation network learnt from coarse annotations, whose upsampling finds the borders itself."""

from __future__ import annotations

import luigi

from data.sample import UNLABELLED
from tasks.coarsen_masks import CoarsenMasks
from tasks.index_dataset import IndexDataset
from tasks.runtime.training_stage import TrainingTask


class TrainCoarse(TrainingTask):
    """FCN-16 with superpixel upsampling: CE on labelled pixels and the SLIC regulariser (arXiv 2510.15756)."""

    backbone = luigi.Parameter(default="tf_efficientnet_lite0", description="timm name of a CNN")
    epochs = luigi.IntParameter(default=20)
    batch_size = luigi.IntParameter(default=4)
    crop_size = luigi.IntParameter(default=256, description="side of the square crop, 0 = the largest image")
    scale_min = luigi.FloatParameter(default=0.7, description="least random resize")
    scale_max = luigi.FloatParameter(default=1.5, description="greatest random resize")
    learning_rate = luigi.FloatParameter(default=5e-4, description="of the backbone, at its peak")
    freeze_batch_norm = luigi.BoolParameter(default=True, parsing=luigi.BoolParameter.EXPLICIT_PARSING)
    frozen_stride = luigi.IntParameter(
        default=0, description="layers up to this output stride stay as pretrained, 0 = all learn"
    )
    upsampling = luigi.ChoiceParameter(
        default="superpixel", choices=("superpixel", "bilinear"), description="how class scores reach the pixels"
    )
    slic_weight = luigi.FloatParameter(default=1.0, description="lambda, weight of the regulariser, 0 = off")
    compactness = luigi.FloatParameter(default=0.03, description="m, weight of place against colour in [0, 1]")

    def unused(self):
        return () if self.upsampling == "superpixel" else ("slic_weight", "compactness")

    def requires(self):
        return [self.upstream(IndexDataset), self.upstream(CoarsenMasks)]

    @property
    def learns_superpixels(self):
        return self.upsampling == "superpixel"

    def network(self):
        from tasks.runtime.networks import build_fcn

        return build_fcn(self, self.index.num_classes, pretrained=False)

    def work(self) -> int:
        import torch
        import torch.nn.functional as F

        from models.losses import SuperpixelSlicLoss
        from tasks.runtime.batches import MapSource
        from tasks.runtime.networks import build_fcn, normalisation_of

        torch.manual_seed(self.seed)
        network = build_fcn(self, self.index.num_classes, pretrained=True)
        maps = {"label": MapSource(self.upstream(CoarsenMasks).artifact.path, "label", UNLABELLED)}
        colours, slic = normalisation_of(self.backbone), SuperpixelSlicLoss(self.compactness)

        def loss_of(batch, epoch):
            output, labels = network(batch["image"]), batch["label"].long()
            per_pixel = F.cross_entropy(output.logits, labels, ignore_index=UNLABELLED, reduction="none")
            # Not the mean of cross_entropy, which is NaN where a batch has no labelled pixel at all.
            losses = {"classification": per_pixel.sum() / (labels != UNLABELLED).sum().clamp(min=1)}
            total = losses["classification"]
            if output.steps and self.slic_weight:
                losses["slic"] = slic(network.padded(colours.undo(batch["image"])), output.steps)
                total = total + self.slic_weight * losses["slic"]
            return {**losses, "loss": total}

        return self.train(network, self.training_images(maps), loss_of)
