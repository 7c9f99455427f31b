"""Stage 8: a segmentation network that learns from seeds. The seeds grow during training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.files.labels import label_png, read_labels
from data.sample import TRAIN, UNLABELLED, spread
from data.store.artifact import write_bytes
from tasks.discover_superpixels import NO_SUPERPIXEL, DiscoverSuperpixels
from tasks.generate_seeds import GenerateSeeds
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth
from tasks.runtime.cutout_parameters import PastesCutouts
from tasks.runtime.numeric import number, whole
from tasks.runtime.parameters import flag, only
from tasks.runtime.stage import Stages
from tasks.runtime.training_stage import EPOCHS_HELP, LEAST_STEPS_HELP
from tasks.segmenter_stage import SegmenterStage
from tasks.train_classifier import TrainClassifier

WATCHED_IMAGES = 3
"""Number of training images whose grown seeds are kept after every epoch, for the report."""


class TrainSegmenter(PastesCutouts, SegmenterStage):
    """DeepLab-ASPP with the balanced seed loss (S. Kim, SNU 2022, eq. 3.8), averaged over `input_scales`.

    At each step, the seed grows over superpixels (eqs. 3.6, 3.7). Pasting objects from other images follows Ghiasi et
    al., CVPR 2021; finding them by seeds is ours.
    """

    epochs = whole(8, EPOCHS_HELP, at_least=1)
    least_steps = whole(480, LEAST_STEPS_HELP, at_least=0)
    paste = number(0.5, "share of the images into which objects of another image are pasted", at_least=0, at_most=1)
    grow = flag(True, "grow the seeds over superpixels")
    beta_bg = only(
        number(0.7, "mean probability above which a superpixel becomes background", at_least=0, at_most=1),
        grow=True,
    )
    beta_fg = only(
        number(0.7, "mean probability above which a superpixel becomes foreground", at_least=0, at_most=1),
        grow=True,
    )

    def requires(self):
        stages: Stages = {"dataset": self.upstream(IndexDataset), "seeds": self.upstream(GenerateSeeds)}
        if self.grow or self.paste:
            stages["superpixels"] = self.upstream(DiscoverSuperpixels)
        if self.cutouts:
            stages["depth"] = self.upstream(LoadDepth)
        if self.start == "classifier":
            stages["classifier"] = self.upstream(TrainClassifier)
        return stages

    def learn(self) -> int:
        import torch
        import torch.nn.functional as F

        from models.input_size import limited
        from models.losses import BalancedSeedLoss
        from models.losses.whole_batch import share_of_mean
        from tasks.runtime.resizing import enlarged_size, resized
        from tasks.runtime.training_images import MapSource
        from tasks.runtime.training_loop import choose_device

        torch.manual_seed(self.seed)
        network = self.new_network()
        maps = {"seed": MapSource(self.inputs["seeds"], "seed", UNLABELLED, holds_classes=True), **self.depth_maps()}
        if "superpixels" in self.required:
            maps["superpixel"] = MapSource(self.inputs["superpixels"], "superpixel", NO_SUPERPIXEL, True)
        seed_loss = BalancedSeedLoss(UNLABELLED)

        def loss_of(batch, epoch):
            logits = self.logits_at_scales(network, batch["image"], batch["seed"].shape[-2:])
            targets = self._targets(logits[0], batch)
            losses = {"loss": sum(seed_loss(values, targets) for values in logits) / len(logits)}
            for name, labels in (("seed_labelled", batch["seed"]), ("grown_labelled", targets)):
                losses[name] = share_of_mean((labels != UNLABELLED).float().mean(), len(labels))
            return losses

        images, device = self.training_images(maps, self._pasting(), self.pasted_cutouts()), choose_device(self.device)

        @torch.no_grad()
        def keep_grown(epoch):
            """Write the grown seeds of the watched images; the images are whole and not augmented."""
            for index in self.watched_images():
                batch = {key: values[None] for key, values in images.whole(index).items()}
                size = (batch["seed"].shape[-2], batch["seed"].shape[-1])
                seen = limited(resized(batch["image"], enlarged_size(size, self.enlarge_to)))
                logits = F.interpolate(network(seen.to(device)).cpu(), size=size, mode="bilinear", align_corners=False)
                grown = self._targets(logits, batch)[0].numpy().astype(np.uint16)
                write_bytes(self._grown_path(index, epoch), label_png(grown))

        return self.train(network, images, loss_of, keep_grown)

    def _targets(self, logits, batch):
        """The grown seeds of a batch, (B, H, W) int64; the logits (B, K+1, H, W) have the size of the seeds."""
        from models.seeds import grow_seeds

        seeds = batch["seed"].long()
        if not self.grow:
            return seeds
        superpixels = batch["superpixel"].long()
        superpixels = superpixels.masked_fill(superpixels == NO_SUPERPIXEL, -1)
        return grow_seeds(logits.detach().softmax(1), seeds, superpixels, batch["tags"], self.beta_bg, self.beta_fg)

    def _pasting(self):
        """Copy-paste of objects; None if it is off."""
        from tasks.runtime.copy_paste import Pasting

        return Pasting(self.paste, objects_of_seeds) if self.paste else None

    def watched_images(self) -> list[int]:
        """Positions in the train split of the images whose grown seeds are kept; empty if the seeds do not grow."""
        return spread(self.inputs["dataset"].split(TRAIN), WATCHED_IMAGES) if self.grow else []

    def _grown_path(self, index: int, epoch: int) -> Path:
        """The grown seed of a watched image after an epoch: PNG of class numbers, 65535 = unlabelled."""
        return self.artifact.path / "grown" / f"image-{index:06d}-epoch-{epoch + 1:03d}.png"

    def grown_seeds(self, index: int) -> list[np.ndarray]:
        """The grown seeds of a watched image, one per epoch, each (H, W) uint16 with 65535 = unlabelled.

        Raises
        ------
        DamagedArtifactError
            If a file is missing or not what was written.
        """
        paths = [self._grown_path(index, epoch) for epoch in range(self.epochs)]
        for path in paths:
            self.artifact.require_sound(path.relative_to(self.artifact.path).as_posix())
        return [read_labels(path) for path in paths]


def objects_of_seeds(maps):
    """Where an image shows objects by its seed and superpixels, (H, W) bool; takes the maps of `TrainSegmenter`."""
    from tasks.runtime.copy_paste import seeded_objects

    return seeded_objects(maps["seed"], maps["superpixel"], NO_SUPERPIXEL)
