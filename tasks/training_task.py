"""What the stages that train a network share: their parameters, and the call of the loop."""

from __future__ import annotations

import luigi

from data.sample import TRAIN
from tasks.base import StageTask


class TrainingTask(StageTask):
    """A stage that trains a network with a ``backbone`` on the train split."""

    suffix = ""
    uses_seed = True
    resources = {"gpu": 1}

    backbone = luigi.Parameter(default="tf_efficientnet_lite0", description="timm name of a CNN")
    weights = luigi.Parameter(default="package", description="hub, package, random, or a file of weights")
    output_stride = luigi.IntParameter(default=16, description="pixels a cell of the network's maps: 8, 16 or 32")
    epochs = luigi.IntParameter(default=10)
    batch_size = luigi.IntParameter(default=8)
    crop_size = luigi.IntParameter(default=0, description="side of the square crop, 0 = the largest image")
    scale_min = luigi.FloatParameter(default=1.0, description="least random resize")
    scale_max = luigi.FloatParameter(default=1.0, description="greatest random resize")
    jitter = luigi.FloatParameter(default=0.2, description="colour jitter")
    mosaic = luigi.FloatParameter(default=0.0, description="share of the items that are four images at half size")
    optimizer = luigi.ChoiceParameter(default="adamw", choices=("adamw", "sgd"))
    learning_rate = luigi.FloatParameter(default=1e-3, description="of the backbone, at its peak")
    head_factor = luigi.FloatParameter(default=10.0, description="learning rate of the head relative to it")
    weight_decay = luigi.FloatParameter(default=5e-4)
    schedule = luigi.ChoiceParameter(default="one_cycle", choices=("one_cycle", "poly"))
    warmup_epochs = luigi.FloatParameter(default=0.0, description="poly: epochs of linear warm-up from 1e-6")
    clip_norm = luigi.FloatParameter(default=5.0, description="limit of the gradient norm, 0 = none")
    freeze_batch_norm = luigi.BoolParameter(default=False, parsing=luigi.BoolParameter.EXPLICIT_PARSING)
    frozen_stride = luigi.IntParameter(
        default=4, description="layers up to this output stride stay as pretrained, 0 = all learn"
    )
    loader_processes = luigi.IntParameter(default=0, description="processes that load images", significant=False)

    def content_identity(self):
        from tasks.weights import weights_identity

        return {"weights": weights_identity(self.weights, self.backbone)}

    def train(self, network, maps, loss_of) -> int:
        """Train on the train split; returns the number of images seen.

        Parameters
        ----------
        network : nn.Module
        maps : dict of name -> MapSource
            Arrays that are augmented along with the images and come in the batch under these names.
        loss_of : callable
            As in `tasks.training.train`.
        """
        from tasks.batches import TrainingImages, epoch_batches, steps_per_epoch
        from tasks.networks import augmentation_of, normalisation_of
        from tasks.training import TrainingPlan, choose_device, train

        samples = self.index.split(TRAIN)
        images = TrainingImages(
            samples,
            self.index.num_classes,
            normalisation_of(self.backbone),
            augmentation_of(self, samples),
            self.seed,
            maps,
        )
        plan = TrainingPlan(
            epochs=self.epochs,
            steps_per_epoch=steps_per_epoch(len(samples), self.batch_size),
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            head_factor=self.head_factor,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            warmup_epochs=self.warmup_epochs,
            clip_norm=self.clip_norm,
            freeze_batch_norm=self.freeze_batch_norm,
            frozen_stride=self.frozen_stride,
            seed=self.seed,
        )
        train(
            network,
            plan,
            lambda epoch: epoch_batches(images, epoch, self.batch_size, self.loader_processes),
            loss_of,
            self.artifact.path,
            self.label,
            self.report_progress,
            choose_device(self.device),
        )
        return len(samples) * self.epochs
