"""Stage 8: a segmentation network that learns from seeds, which grow while it learns."""

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
from tasks.runtime.parameters import flag, only
from tasks.runtime.segmenter_stage import SegmenterStage
from tasks.runtime.stage import Stages
from tasks.train_classifier import TrainClassifier

WATCHED_IMAGES = 3
"""Training images whose grown seed is kept at the end of every epoch, for the report."""


class TrainSegmenter(SegmenterStage):
    """DeepLab-ASPP with the balanced seed loss; at each step the seed grows over superpixels (eqs. 3.6-3.8)."""

    epochs = luigi.IntParameter(default=8, description="passes over the training images")
    paste = luigi.FloatParameter(
        default=0.5, description="share of the images that get the objects of another one pasted in"
    )
    grow = flag(True, "grow the seed over superpixels")
    beta_bg = only(
        luigi.FloatParameter(default=0.7, description="mean probability above which a superpixel is background"),
        grow=True,
    )
    beta_fg = only(
        luigi.FloatParameter(default=0.7, description="mean probability above which it is foreground"), grow=True
    )

    def requires(self):
        stages: Stages = {"dataset": self.upstream(IndexDataset), "seeds": self.upstream(GenerateSeeds)}
        if self.grow or self.paste:
            stages["superpixels"] = self.upstream(DiscoverSuperpixels)
        if self.start == "classifier":
            stages["classifier"] = self.upstream(TrainClassifier)
        return stages

    def work(self) -> int:
        import torch
        import torch.nn.functional as F

        from models.losses import BalancedSeedLoss
        from tasks.runtime.training_images import MapSource
        from tasks.runtime.training_loop import choose_device

        torch.manual_seed(self.seed)
        network = self.new_network()
        maps = {"seed": MapSource(self.inputs["seeds"], "seed", UNLABELLED)}
        if "superpixels" in self.required:
            maps["superpixel"] = MapSource(self.inputs["superpixels"], "superpixel", NO_SUPERPIXEL, True)
        seed_loss = BalancedSeedLoss(UNLABELLED)

        def loss_of(batch, epoch):
            logits = self.logits_at_scales(network, batch["image"], batch["seed"].shape[-2:])
            targets = self._targets(logits[0], batch)
            losses = {"loss": sum(seed_loss(values, targets) for values in logits) / len(logits)}
            for name, labels in (("seed_labelled", batch["seed"]), ("grown_labelled", targets)):
                losses[name] = (labels != UNLABELLED).float().mean()
            return losses

        images, device = self.training_images(maps, self._pasting()), choose_device(self.device)

        @torch.no_grad()
        def keep_grown(epoch):
            """Write the grown seeds of the watched images, which are whole here, neither cut nor coloured."""
            for index in self.watched_images():
                batch = {key: values[None] for key, values in images.whole(index).items()}
                logits = network(batch["image"].to(device)).cpu()
                logits = F.interpolate(logits, size=batch["seed"].shape[-2:], mode="bilinear", align_corners=False)
                write_bytes(self._grown_path(index, epoch), label_png(self._targets(logits, batch)[0].byte().numpy()))

        return self.train(network, images, loss_of, keep_grown)

    def _targets(self, logits, batch):
        """The seeds of a batch, grown by logits at their resolution."""
        from models.seeds import grow_seeds

        seeds = batch["seed"].long()
        if not self.grow:
            return seeds
        superpixels = batch["superpixel"].long()
        superpixels = superpixels.masked_fill(superpixels == NO_SUPERPIXEL, -1)
        return grow_seeds(logits.detach().softmax(1), seeds, superpixels, batch["tags"], self.beta_bg, self.beta_fg)

    def _pasting(self):
        """How objects go from image to image: the superpixels in which a seed is mostly foreground."""
        from tasks.runtime.copy_paste import Pasting

        return Pasting(self.paste, objects_of_seeds) if self.paste else None

    def watched_images(self) -> list[int]:
        """Positions in the train split of the images whose grown seeds are kept, evenly spread."""
        return spread(self.inputs["dataset"].split(TRAIN), WATCHED_IMAGES) if self.grow else []

    def _grown_path(self, index: int, epoch: int) -> Path:
        """The grown seed of a watched image after an epoch: PNG of class numbers, 255 = unlabelled."""
        return self.artifact.path / "grown" / f"image-{index:06d}-epoch-{epoch + 1:03d}.png"

    def grown_seeds(self, index: int) -> list[np.ndarray]:
        """The grown seeds of a watched image, (H, W) uint8, one per epoch."""
        return [read_labels(self._grown_path(index, epoch)) for epoch in range(self.epochs)]


def objects_of_seeds(maps):
    """Where the seed and the superpixels of an item say that objects are, (H, W) bool."""
    from tasks.runtime.copy_paste import seeded_objects

    return seeded_objects(maps["seed"], maps["superpixel"], NO_SUPERPIXEL)
