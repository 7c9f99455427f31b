"""Stage 3: an image classifier learnt from the tags alone, whose maps become CAMs."""

from __future__ import annotations

import luigi

from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth
from tasks.training_task import TrainingTask


class TrainClassifier(TrainingTask):
    """Multi-label BCE on tags, plus DEAL: the edges of the maps shall lie on depth edges."""

    epochs = luigi.IntParameter(default=8)
    learning_rate = luigi.FloatParameter(default=1e-3, description="of the backbone, at its peak")
    deal_weight = luigi.FloatParameter(default=0.4, description="weight of the depth edge alignment loss, 0 = off")
    deal_edges = luigi.ChoiceParameter(default="curvature", choices=("curvature", "sobel"), description="depth edges")
    deal_start = luigi.FloatParameter(default=2.0, description="epochs before DEAL begins")
    deal_full = luigi.FloatParameter(default=4.0, description="epochs after which DEAL has its full weight")

    def requires(self):
        return [self.upstream(IndexDataset), self.upstream(LoadDepth)]

    def work(self) -> int:
        import torch
        import torch.nn.functional as F

        from models.losses import DepthEdgeAlignmentLoss
        from tasks.batches import MapSource
        from tasks.networks import build_classifier

        torch.manual_seed(self.seed)
        network = build_classifier(self, self.index.num_classes, pretrained=True)
        depth_path = self.upstream(LoadDepth).artifact.path
        maps = {"depth": MapSource(depth_path, "depth", 0.0), "valid": MapSource(depth_path, "valid", False)}
        deal = DepthEdgeAlignmentLoss(edges=self.deal_edges)

        def loss_of(batch, epoch):
            scores, maps = network(batch["image"])
            losses = {"classification": F.binary_cross_entropy_with_logits(scores, batch["labels"])}
            losses["loss"] = losses["classification"]
            if self.deal_weight:
                valid = batch["valid"][:, None]
                depth = batch["depth"][:, None].nan_to_num(0.0)
                losses["deal"] = deal(maps, depth, batch["labels"], valid)
                ramp = min(max((epoch - self.deal_start) / max(self.deal_full - self.deal_start, 1e-9), 0.0), 1.0)
                losses["loss"] = losses["loss"] + self.deal_weight * ramp * losses["deal"]
            return losses

        return self.train(network, maps if self.deal_weight else {}, loss_of)
