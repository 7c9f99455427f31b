"""Stage 3: an image classifier learnt from the tags alone, whose maps become CAMs."""

from __future__ import annotations

import luigi

from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth
from tasks.runtime.training_stage import TrainingTask


class TrainClassifier(TrainingTask):
    """Multi-label BCE on tags, plus losses on the maps: DEAL (depth edges), ISL (sampled positions), FSL (colours)."""

    came_later = {"deal_noise_factor": 0.0}

    head = luigi.ChoiceParameter(
        default="gap",
        choices=("gap", "seam", "vit", "dilated"),
        description="how a network makes CAMs; vit on a CNN is a hybrid",
    )
    epochs = luigi.IntParameter(default=4)
    learning_rate = luigi.FloatParameter(default=1e-3, description="of the backbone, at its peak")
    deal_weight = luigi.FloatParameter(default=2.0, description="weight of the depth edge alignment loss, 0 = off")
    deal_edges = luigi.ChoiceParameter(default="curvature", choices=("curvature", "sobel"), description="depth edges")
    deal_stride = luigi.IntParameter(default=8, description="pixels a cell of the grid where the edges meet")
    deal_floor = luigi.FloatParameter(default=0.04, description="depth edges below it are noise (1/m; sobel: m)")
    deal_span = luigi.FloatParameter(default=0.3, description="depth edges above floor + span count in full")
    deal_noise_factor = luigi.FloatParameter(
        default=2.0, description="raises an image's floor to this multiple of its median depth edge, for noisy depth"
    )
    isl_weight = luigi.FloatParameter(
        default=0.0, description="share of the importance sampling loss in classification"
    )
    isl_samples = luigi.IntParameter(default=10, description="positions drawn for each image and class")
    fsl_weight = luigi.FloatParameter(default=0.0, description="weight of the feature similarity loss, 0 = off")
    fsl_sigma = luigi.FloatParameter(default=5.0, description="reach of the similarity, in cells of its grid")
    fsl_stride = luigi.IntParameter(default=8, description="pixels a cell of the grid where colours are compared")
    cam_normalisation = luigi.ChoiceParameter(
        default="max", choices=("max", "quantile", "sigmoid"), description="of the CAMs that DEAL and FSL see"
    )
    ramp_start = luigi.FloatParameter(default=1.0, description="epochs before DEAL and FSL begin")
    ramp_end = luigi.FloatParameter(default=2.0, description="epochs after which they have their full weight")

    @property
    def version(self):
        return 3 if self.head == "vit" else 1

    def unused(self):
        # Only the youngest: without the others classifiers trained before would lose their identity.
        return () if self.deal_weight else ("deal_noise_factor",)

    def requires(self):
        return [self.upstream(IndexDataset), *([self.upstream(LoadDepth)] if self.deal_weight else [])]

    def network(self):
        from tasks.runtime.networks import build_classifier

        return build_classifier(self, self.index.num_classes, pretrained=False)

    def work(self) -> int:
        import torch

        from models.losses import DepthEdgeAlignmentLoss, FeatureSimilarityLoss, ImportanceSamplingLoss
        from tasks.runtime.batches import MapSource
        from tasks.runtime.networks import build_classifier, normalisation_of

        torch.manual_seed(self.seed)
        network = build_classifier(self, self.index.num_classes, pretrained=True)
        maps = {}
        if self.deal_weight:
            depth_path = self.upstream(LoadDepth).artifact.path
            maps = {"depth": MapSource(depth_path, "depth", 0.0), "valid": MapSource(depth_path, "valid", False)}
        deal = DepthEdgeAlignmentLoss(
            edges=self.deal_edges,
            stride=self.deal_stride,
            floor=self.deal_floor,
            span=self.deal_span,
            noise_factor=self.deal_noise_factor,
            normalisation=self.cam_normalisation,
        )
        isl = ImportanceSamplingLoss(self.isl_samples)
        fsl = FeatureSimilarityLoss(sigma=self.fsl_sigma, stride=self.fsl_stride, normalisation=self.cam_normalisation)
        colours = normalisation_of(self.backbone)

        def loss_of(batch, epoch):
            tags = batch["tags"]
            output = network(batch["image"])
            losses = network.classification_losses(batch["image"], tags, output)
            total = sum(losses.values())
            if self.isl_weight:
                losses["isl"] = isl(output.maps, tags)
                total = total + self.isl_weight * (losses["isl"] - losses["classification"])
            ramp = min(max((epoch - self.ramp_start) / max(self.ramp_end - self.ramp_start, 1e-9), 0.0), 1.0)
            if self.deal_weight:
                depth, valid = batch["depth"][:, None].nan_to_num(0.0), batch["valid"][:, None]
                losses["deal"] = deal(output.cams, depth, tags, valid)
                total = total + self.deal_weight * ramp * losses["deal"]
            if self.fsl_weight:
                losses["fsl"] = fsl(output.cams, colours.undo(batch["image"]), tags)
                total = total + self.fsl_weight * ramp * losses["fsl"]
            return {**losses, "loss": total}

        return self.train(network, self.training_images(maps), loss_of)
