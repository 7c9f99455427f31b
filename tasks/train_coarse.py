"""A segmentation network that learns from coarse labels. Its upsampling by learned superpixels finds the borders."""

from __future__ import annotations

from data.sample import UNLABELLED
from tasks.coarsen_masks import CoarsenMasks
from tasks.index_dataset import IndexDataset
from tasks.runtime.numeric import number, scale_parameter, whole
from tasks.runtime.parameters import flag, nonzero, one_of, only
from tasks.runtime.training_stage import EPOCHS_HELP, LEAST_STEPS_HELP, MAX_CROP, TrainingStage


class TrainCoarse(TrainingStage):
    """FCN-16 with superpixel upsampling: cross entropy on labelled pixels and SLIC regulariser (arXiv 2510.15756)."""

    network = "superpixel_fcn"

    epochs = whole(20, EPOCHS_HELP, at_least=1)
    least_steps = whole(400, LEAST_STEPS_HELP, at_least=0)
    batch_size = whole(4, "images per step", at_least=1)
    crop_size = whole(
        256,
        "side of the square crop in pixels, 0 = size of the usual images, at most 1 megapixel; larger images are "
        "scaled down to fit",
        at_least=0,
        at_most=MAX_CROP,
    )
    scale_min = scale_parameter(0.7, "minimum random scale")
    scale_max = scale_parameter(1.5, "maximum random scale")
    learning_rate = number(5e-4, "peak backbone learning rate", above=0)
    freeze_batch_norm = flag(True, "keep the pretrained statistics, scale and shift of batch norm")
    frozen_stride = whole(
        0, "layers up to this output stride are not trained, 0 = all are trained", at_least=0, at_most=32
    )
    upsampling = one_of(("superpixel", "bilinear"), "superpixel", "upsampling of class scores to pixels")
    slic_weight = only(
        number(1.0, "lambda, weight of the SLIC regulariser, 0 = off", at_least=0),
        upsampling="superpixel",
    )
    compactness = only(
        number(0.03, "m, weight of position against colour; colours are in [0, 1]", at_least=0),
        slic_weight=nonzero,
    )

    def requires(self):
        return {"dataset": self.upstream(IndexDataset), "labels": self.upstream(CoarsenMasks)}

    @property
    def learns_superpixels(self):
        return self.upsampling == "superpixel"

    def network_settings(self):
        return {"backbone": self.backbone, "upsampling": self.upsampling}

    def learn(self) -> int:
        import torch
        import torch.nn.functional as F

        from models.losses import SuperpixelSlicLoss
        from models.losses.whole_batch import count_in_batch
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
            labelled = count_in_batch((labels != UNLABELLED).sum())
            losses = {"classification": per_pixel.sum() / labelled.clamp(min=1)}
            total = losses["classification"]
            if slic:
                losses["slic"] = slic(network.padded(colours.undo(batch["image"])), output.steps)
                total = total + self.slic_weight * losses["slic"]
            return {**losses, "loss": total}

        return self.train(network, self.training_images(maps), loss_of)
