"""Stage 8: a segmentation network learnt from seeds that grow while it learns."""

from __future__ import annotations

from pathlib import Path

import luigi
import numpy as np

from data.artifact import write_bytes
from data.images import label_png, read_labels
from data.sample import TRAIN, UNLABELLED, spread
from tasks.base import ScalesParameter
from tasks.discover_superpixels import NO_SUPERPIXEL, DiscoverSuperpixels
from tasks.generate_seeds import GenerateSeeds
from tasks.index_dataset import IndexDataset
from tasks.train_classifier import TrainClassifier
from tasks.training_task import TrainingTask


class TrainSegmenter(TrainingTask):
    """DeepLab-ASPP with the balanced seed loss; at each step the seed grows over superpixels (eqs. 3.6-3.8)."""

    start = luigi.ChoiceParameter(
        default="classifier", choices=("pretrained", "classifier"), description="weights with which the backbone begins"
    )
    rates = ScalesParameter(default=(1.0, 2.0, 4.0, 6.0), description="dilations of the ASPP branches, in cells")
    epochs = luigi.IntParameter(default=5)
    scale_min = luigi.FloatParameter(default=0.8, description="least random resize")
    scale_max = luigi.FloatParameter(default=2.0, description="greatest random resize")
    jitter = luigi.FloatParameter(default=0.3, description="colour jitter")
    mosaic = luigi.FloatParameter(default=0.6, description="share of the items that are four images at half size")
    input_scales = ScalesParameter(
        default=(1.0,), description="sizes at which each batch is seen; the loss is their mean"
    )
    optimizer = luigi.ChoiceParameter(default="adamw", choices=("adamw", "sgd"))
    learning_rate = luigi.FloatParameter(default=5e-4, description="of the backbone, at its peak")
    schedule = luigi.ChoiceParameter(default="poly", choices=("one_cycle", "poly"))
    warmup_epochs = luigi.FloatParameter(default=0.5, description="epochs of linear warm-up from 1e-6 (poly)")
    freeze_batch_norm = luigi.BoolParameter(default=True, parsing=luigi.BoolParameter.EXPLICIT_PARSING)
    grow = luigi.BoolParameter(
        default=True, parsing=luigi.BoolParameter.EXPLICIT_PARSING, description="grow the seed over superpixels"
    )
    beta_bg = luigi.FloatParameter(default=0.7, description="mean probability above which a superpixel is background")
    beta_fg = luigi.FloatParameter(default=0.7, description="mean probability above which it is foreground")
    average_decay = luigi.FloatParameter(
        default=0.99, description="the result is a running mean of the weights with this decay, 0 = the last weights"
    )
    watched = luigi.IntParameter(default=3, description="training images whose grown seed is kept at every epoch's end")

    def requires(self):
        above = [IndexDataset, DiscoverSuperpixels, GenerateSeeds]
        if self.start == "classifier":
            above.append(TrainClassifier)
        return [self.upstream(stage) for stage in above]

    def work(self) -> int:
        import torch
        import torch.nn.functional as F

        from models.losses import BalancedSeedLoss
        from models.seeds import grow_seeds
        from tasks.batches import MapSource
        from tasks.networks import build_segmenter, start_from_classifier
        from tasks.training import choose_device

        torch.manual_seed(self.seed)
        network = build_segmenter(self, self.index.num_classes, pretrained=self.start == "pretrained")
        if self.start == "classifier":
            start_from_classifier(network, self.upstream(TrainClassifier), self.index.num_classes)
        maps = {
            "seed": MapSource(self.upstream(GenerateSeeds).artifact.path, "seed", UNLABELLED),
            "superpixel": MapSource(
                self.upstream(DiscoverSuperpixels).artifact.path, "superpixel", NO_SUPERPIXEL, True
            ),
        }
        seed_loss = BalancedSeedLoss(UNLABELLED)

        def grown(logits, batch):
            """The seeds of a batch, grown by logits at their resolution."""
            seeds = batch["seed"].long()
            if not self.grow:
                return seeds
            superpixels = batch["superpixel"].long()
            superpixels = superpixels.masked_fill(superpixels == NO_SUPERPIXEL, -1)
            return grow_seeds(
                logits.detach().softmax(1), seeds, superpixels, batch["labels"], self.beta_bg, self.beta_fg
            )

        def loss_of(batch, epoch):
            size = batch["seed"].shape[-2:]
            logits = []
            for scale in self.input_scales:
                image = batch["image"]
                if scale != 1:
                    image = F.interpolate(image, scale_factor=scale, mode="bilinear", align_corners=False)
                logits.append(F.interpolate(network(image), size=size, mode="bilinear", align_corners=False))
            targets = grown(logits[0], batch)
            losses = {"loss": sum(seed_loss(values, targets) for values in logits) / len(logits)}
            for name, labels in (("seed_labelled", batch["seed"]), ("grown_labelled", targets)):
                losses[name] = (labels != UNLABELLED).float().mean()
            return losses

        images, device = self.training_images(maps), choose_device(self.device)

        @torch.no_grad()
        def keep_grown(epoch):
            """Write the grown seeds of the watched images, which are whole here, neither cut nor coloured."""
            for number in self.watched_numbers():
                batch = {key: values[None] for key, values in images.whole(number).items()}
                logits = network(batch["image"].to(device)).cpu()
                logits = F.interpolate(logits, size=batch["seed"].shape[-2:], mode="bilinear", align_corners=False)
                write_bytes(self.grown_path(number, epoch), label_png(grown(logits, batch)[0].byte().numpy()))

        return self.train(network, images, loss_of, keep_grown)

    def watched_numbers(self) -> list[int]:
        """Numbers in the train split of the images whose grown seeds are kept, spread evenly."""
        return spread(self.index.split(TRAIN), self.watched)

    def grown_path(self, number: int, epoch: int) -> Path:
        """The grown seed of a watched image after an epoch: PNG of class numbers, 255 = unlabelled."""
        return self.artifact.path / "grown" / f"image-{number:06d}-epoch-{epoch + 1:03d}.png"

    def grown_seeds(self, number: int) -> list[np.ndarray]:
        """The grown seeds of a watched image, (H, W) uint8, one an epoch."""
        return [read_labels(self.grown_path(number, epoch)) for epoch in range(self.epochs)]
