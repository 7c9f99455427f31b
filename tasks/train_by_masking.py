"""A segmentation network that learns without pseudo-labels: from saliency, and by erasing objects for a classifier."""

from __future__ import annotations

from data.sample import UNLABELLED
from tasks.index_dataset import IndexDataset
from tasks.refine_saliency import RefineSaliency
from tasks.runtime.numeric import number, whole
from tasks.runtime.parameters import nonzero, only
from tasks.runtime.stage import Stages
from tasks.segmenter_stage import SegmenterStage
from tasks.train_classifier import TrainClassifier


class TrainByMasking(SegmenterStage):
    """Saliency loss plus attention loss of a frozen classifier (S. Kim, SNU 2022, eqs. 2.7-2.12).

    The saliency loss is summed over `input_scales`. The attention loss uses the first of them.
    """

    attention_weight = number(2.0, "weight of the attention loss (eq. 2.12), 0 = off", at_least=0)
    paths = only(
        whole(
            2,
            "number N of classification paths, each erases its own random classes (eq. 2.11)",
            at_least=1,
            at_most=100,
        ),
        attention_weight=nonzero,
    )

    def requires(self):
        stages: Stages = {"dataset": self.upstream(IndexDataset), "saliency": self.upstream(RefineSaliency)}
        if self.start == "classifier" or self.attention_weight:
            stages["classifier"] = self.upstream(TrainClassifier)
        return stages

    def content_identity(self):
        found = super().content_identity()
        if not self.attention_weight or self.required["classifier"].backbone == self.backbone:
            return found
        return {**found, "images of the classifier": "2"}  # they once had the normalisation of the other backbone

    def learn(self) -> int:
        import torch

        from models.losses import SaliencyLoss
        from tasks.runtime.training_images import MapSource

        torch.manual_seed(self.seed)
        network = self.new_network()
        maps = {"salient": MapSource(self.inputs["saliency"], "salient", UNLABELLED)}
        saliency_loss = SaliencyLoss(UNLABELLED)
        attention_loss = self._attention_loss() if self.attention_weight else None

        def loss_of(batch, epoch):
            tags, salient = batch["tags"], batch["salient"].long()
            at_scales = self.logits_at_scales(network, batch["image"], salient.shape[-2:])
            losses = {"saliency": sum(saliency_loss(logits, salient, tags) for logits in at_scales)}
            total = losses["saliency"]
            if attention_loss:
                losses["attention"] = attention_loss(at_scales[0], batch["image"], tags)
                total = total + self.attention_weight * losses["attention"]
            return {**losses, "loss": total}

        return self.train(network, self.training_images(maps), loss_of)

    def _attention_loss(self):
        """The attention loss with the frozen classifier: a function (logits, images, tags) -> scalar."""
        from models.losses import AttentionLoss
        from tasks.runtime.batch_gradient import in_precision
        from tasks.runtime.networks import normalisation_of
        from tasks.runtime.training_loop import choose_device

        device, ours = choose_device(self.device), normalisation_of(self.backbone)
        trained = self.inputs["classifier"].load(device)
        classifier = trained.network.requires_grad_(False)
        in_precision(classifier, device, self.resolved_precision)
        loss = AttentionLoss(self.paths)

        def loss_of(logits, images, tags):
            images = ours.converted(images, trained.normalise)  # before erasing: it is to leave the mean colour, 0
            return loss(logits, images, tags, lambda seen: classifier(seen).scores)

        return loss_of
