"""A segmentation network that learns from coarse labels. Its upsampling by learned superpixels finds the borders."""

from __future__ import annotations

import luigi

from data.sample import UNLABELLED
from tasks.coarsen_masks import CoarsenMasks
from tasks.index_dataset import IndexDataset
from tasks.runtime.parameters import flag, nonzero, one_of, only
from tasks.runtime.training_stage import TrainingStage


class TrainCoarse(TrainingStage):
    """FCN-16 with superpixel upsampling: cross entropy on labelled pixels and SLIC regulariser (arXiv 2510.15756)."""

    network = "superpixel_fcn"

    epochs = luigi.IntParameter(default=20, description="passes over the training images")
    batch_size = luigi.IntParameter(default=4, description="images per step")
    crop_size = luigi.IntParameter(
        default=256, description="side of the square crop in pixels, 0 = size of the largest image"
    )
    scale_min = luigi.FloatParameter(default=0.7, description="minimum random scale")
    scale_max = luigi.FloatParameter(default=1.5, description="maximum random scale")
    learning_rate = luigi.FloatParameter(default=5e-4, description="peak backbone learning rate")
    freeze_batch_norm = flag(True, "keep the pretrained statistics, scale and shift of batch norm")
    frozen_stride = luigi.IntParameter(
        default=0, description="layers up to this output stride are not trained, 0 = all are trained"
    )
    upsampling = one_of(("superpixel", "bilinear"), "superpixel", "upsampling of class scores to pixels")
    slic_weight = only(
        luigi.FloatParameter(default=1.0, description="lambda, weight of the SLIC regulariser, 0 = off"),
        upsampling="superpixel",
    )
    compactness = only(
        luigi.FloatParameter(default=0.03, description="m, weight of position against colour; colours are in [0, 1]"),
        slic_weight=nonzero,
    )

    def requires(self):
        return {"dataset": self.upstream(IndexDataset), "labels": self.upstream(CoarsenMasks)}

    @property
    def learns_superpixels(self):
        return self.upsampling == "superpixel"

    def network_settings(self):
        return {"backbone": self.backbone, "upsampling": self.upsampling}

    def work(self) -> int:
        import torch
        import torch.nn.functional as F

        from models.losses import SuperpixelSlicLoss
        from tasks.runtime.networks import normalisation_of
        from tasks.runtime.training_images import MapSource

        torch.manual_seed(self.seed)
        network = self.new_network()
        maps = {"label": MapSource(self.inputs["labels"], "label", UNLABELLED)}
        colours = normalisation_of(self.backbone)
        has_regulariser = self.learns_superpixels and self.slic_weight
        slic = SuperpixelSlicLoss(self.compactness) if has_regulariser else None

        def loss_of(batch, epoch):
            output, labels = network(batch["image"]), batch["label"].long()
            per_pixel = F.cross_entropy(output.logits, labels, ignore_index=UNLABELLED, reduction="none")
            # The mean of cross_entropy would be NaN for a batch without any labelled pixel.
            losses = {"classification": per_pixel.sum() / (labels != UNLABELLED).sum().clamp(min=1)}
            total = losses["classification"]
            if slic:
                losses["slic"] = slic(network.padded(colours.undo(batch["image"])), output.steps)
                total = total + self.slic_weight * losses["slic"]
            return {**losses, "loss": total}

        return self.train(network, self.training_images(maps), loss_of)
