"""Stage 8: a segmentation network learnt from seeds that grow while it learns."""

from __future__ import annotations

from pathlib import Path

import luigi
import numpy as np

from data.files.labels import label_png, read_labels
from data.sample import TRAIN, UNLABELLED, spread
from data.store.artifact import write_bytes
from tasks.discover_superpixels import NO_SUPERPIXEL, DiscoverSuperpixels
from tasks.generate_seeds import GenerateSeeds
from tasks.index_dataset import IndexDataset
from tasks.runtime.segmenter_stage import SegmenterTask
from tasks.train_classifier import TrainClassifier


class TrainSegmenter(SegmenterTask):
    """DeepLab-ASPP with the balanced seed loss; at each step the seed grows over superpixels (eqs. 3.6-3.8)."""

    came_later = {"paste": 0.0}

    epochs = luigi.IntParameter(default=8)
    paste = luigi.FloatParameter(
        default=0.5, description="share of the images on which the objects of another one are pasted"
    )
    grow = luigi.BoolParameter(
        default=True, parsing=luigi.BoolParameter.EXPLICIT_PARSING, description="grow the seed over superpixels"
    )
    beta_bg = luigi.FloatParameter(default=0.7, description="mean probability above which a superpixel is background")
    beta_fg = luigi.FloatParameter(default=0.7, description="mean probability above which it is foreground")
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
        from tasks.runtime.batches import MapSource
        from tasks.runtime.training_loop import choose_device

        torch.manual_seed(self.seed)
        network = self.network_at_start()
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
            return grow_seeds(logits.detach().softmax(1), seeds, superpixels, batch["tags"], self.beta_bg, self.beta_fg)

        def loss_of(batch, epoch):
            logits = self.logits_at_scales(network, batch["image"], batch["seed"].shape[-2:])
            targets = grown(logits[0], batch)
            losses = {"loss": sum(seed_loss(values, targets) for values in logits) / len(logits)}
            for name, labels in (("seed_labelled", batch["seed"]), ("grown_labelled", targets)):
                losses[name] = (labels != UNLABELLED).float().mean()
            return losses

        images, device = self.training_images(maps, self.pasting()), choose_device(self.device)

        @torch.no_grad()
        def keep_grown(epoch):
            """Write the grown seeds of the watched images, which are whole here, neither cut nor coloured."""
            for number in self.watched_numbers():
                batch = {key: values[None] for key, values in images.whole(number).items()}
                logits = network(batch["image"].to(device)).cpu()
                logits = F.interpolate(logits, size=batch["seed"].shape[-2:], mode="bilinear", align_corners=False)
                write_bytes(self.grown_path(number, epoch), label_png(grown(logits, batch)[0].byte().numpy()))

        return self.train(network, images, loss_of, keep_grown)

    def pasting(self):
        """How objects go from image to image: the superpixels in which a seed is mostly foreground."""
        from tasks.runtime.copy_paste import Pasting

        return Pasting(self.paste, objects_of_seeds) if self.paste else None

    def watched_numbers(self) -> list[int]:
        """Numbers in the train split of the images whose grown seeds are kept, spread evenly."""
        return spread(self.index.split(TRAIN), self.watched)

    def grown_path(self, number: int, epoch: int) -> Path:
        """The grown seed of a watched image after an epoch: PNG of class numbers, 255 = unlabelled."""
        return self.artifact.path / "grown" / f"image-{number:06d}-epoch-{epoch + 1:03d}.png"

    def grown_seeds(self, number: int) -> list[np.ndarray]:
        """The grown seeds of a watched image, (H, W) uint8, one an epoch."""
        return [read_labels(self.grown_path(number, epoch)) for epoch in range(self.epochs)]


def objects_of_seeds(maps):
    """Where the seed and the superpixels of an item say that objects are, (H, W) bool."""
    from tasks.runtime.copy_paste import seeded_objects

    return seeded_objects(maps["seed"], maps["superpixel"], NO_SUPERPIXEL)
