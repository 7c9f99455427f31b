"""A segmentation network learnt without pseudo-tags: from saliency, and from what it can hide from a classifier."""

from __future__ import annotations

import luigi

from data.sample import UNLABELLED
from tasks.index_dataset import IndexDataset
from tasks.refine_saliency import RefineSaliency
from tasks.runtime.segmenter_stage import SegmenterTask
from tasks.train_classifier import TrainClassifier


class TrainByMasking(SegmenterTask):
    """Saliency loss and attention loss of a frozen classifier (eqs. 2.7-2.12)."""

    attention_weight = luigi.FloatParameter(default=2.0, description="of the attention loss (eq. 2.12), 0 = off")
    paths = luigi.IntParameter(default=2, description="classification paths N, each erasing other classes (eq. 2.11)")

    def requires(self):
        return [self.upstream(stage) for stage in (IndexDataset, RefineSaliency, TrainClassifier)]

    def work(self) -> int:
        import torch

        from models.losses import AttentionLoss, SaliencyLoss
        from tasks.runtime.batches import MapSource
        from tasks.runtime.networks import load_trained
        from tasks.runtime.training_loop import choose_device

        torch.manual_seed(self.seed)
        network, trained = self.network_at_start(), self.upstream(TrainClassifier)
        classifier = load_trained(trained.network(), trained.artifact, choose_device(self.device)).requires_grad_(False)
        maps = {"salient": MapSource(self.upstream(RefineSaliency).artifact.path, "salient", UNLABELLED)}
        saliency_loss, attention_loss = SaliencyLoss(UNLABELLED), AttentionLoss(self.paths)

        def classify(images):
            return classifier(images).scores

        def loss_of(batch, epoch):
            tags, salient = batch["tags"], batch["salient"].long()
            at_scales = self.logits_at_scales(network, batch["image"], salient.shape[-2:])
            losses = {"saliency": sum(saliency_loss(logits, salient, tags) for logits in at_scales)}
            total = losses["saliency"]
            if self.attention_weight:
                losses["attention"] = attention_loss(at_scales[0], batch["image"], tags, classify)
                total = total + self.attention_weight * losses["attention"]
            return {**losses, "loss": total}

        return self.train(network, self.training_images(maps), loss_of)
