"""What the stages that train a network share: their parameters, and the call of the loop."""

from __future__ import annotations

import luigi

from data.sample import TRAIN
from data.store.artifact import write_json
from tasks.runtime.stage import StageTask

CLASSES = "classes.json"
"""Beside the weights: names of the classes, number 0 first."""


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

    average_decay = 0.0
    """The result is a running mean of the weights with this decay; 0 = the last weights. A stage may make it a
    parameter."""

    def content_identity(self):
        from tasks.runtime.weights import weights_identity

        return {"weights": weights_identity(self.weights, self.backbone)}

    learns_superpixels = False
    """True if the network upsamples by superpixels of its own, which ``superpixels(images)`` gives."""

    def network(self):
        """The network as an architecture; `tasks.runtime.networks.load_trained` gives it what was learnt."""
        raise NotImplementedError

    def training_images(self, maps, pasting=None):
        """The train split, augmented as the parameters say.

        Parameters
        ----------
        maps : dict of name -> MapSource
            Arrays that are augmented along with the images and come in the batch under these names.
        pasting : tasks.runtime.copy_paste.Pasting, optional
        """
        from tasks.runtime.batches import TrainingImages
        from tasks.runtime.networks import augmentation_of, normalisation_of

        samples = self.index.split(TRAIN)
        augmentation = augmentation_of(self, samples)
        return TrainingImages(
            samples, self.index.num_classes, normalisation_of(self.backbone), augmentation, self.seed, maps, pasting
        )

    def train(self, network, images, loss_of, after_epoch=lambda epoch: None) -> int:
        """Train on what `training_images` gave; returns the number of images seen.

        `network`, `loss_of` and `after_epoch` are as in `tasks.runtime.training_loop.train`.
        """
        from tasks.runtime.batches import epoch_batches, steps_per_epoch
        from tasks.runtime.training_loop import TrainingPlan, choose_device, train

        plan = TrainingPlan(
            epochs=self.epochs,
            steps_per_epoch=steps_per_epoch(len(images), self.batch_size),
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            head_factor=self.head_factor,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            warmup_epochs=self.warmup_epochs,
            clip_norm=self.clip_norm,
            freeze_batch_norm=self.freeze_batch_norm,
            frozen_stride=self.frozen_stride,
            average_decay=self.average_decay,
            seed=self.seed,
        )
        write_json(self.artifact.path / CLASSES, list(self.index.class_names))
        train(
            network,
            plan,
            lambda epoch: epoch_batches(images, epoch, self.batch_size, self.loader_processes),
            loss_of,
            self.artifact.path,
            self.label,
            self.report_progress,
            choose_device(self.device),
            after_epoch,
        )
        return len(images) * self.epochs
