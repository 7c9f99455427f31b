"""The base of the stages that train a network: parameters, training images, call of the loop, the trained model."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import luigi

from data.errors import SettingError
from data.sample import TRAIN
from tasks.runtime.parameters import RegistryParameter, flag, one_of
from tasks.runtime.schedules import SCHEDULES
from tasks.runtime.stage import StageTask
from tasks.runtime.trained_model import TrainedArtifact
from tasks.runtime.weight_files import weights_identity

STRIDE_HELP = "pixels per cell of the maps of the network: 8, 16 or 32"


class TrainingStage(StageTask):
    """A stage that trains a network with a ``backbone`` on the train split.

    A subclass defines `network`, `network_settings` and ``work()``, which calls `train`. ``requires()`` must name an
    IndexDataset as ``dataset``.
    """

    artifact_type = TrainedArtifact
    uses_seed = True
    resources = {"gpu": 1}

    backbone = luigi.Parameter(default="tf_efficientnet_lite0", description="timm name of the backbone, a CNN")
    weights = luigi.Parameter(
        default="package", description="pretrained weights: hub, package, random, or the path of a file"
    )
    epochs = luigi.IntParameter(default=10, description="passes over the training images")
    batch_size = luigi.IntParameter(default=8, description="images per step")
    crop_size = luigi.IntParameter(
        default=0, description="side of the square crop in pixels, 0 = size of the largest image"
    )
    scale_min = luigi.FloatParameter(default=1.0, description="minimum random scale")
    scale_max = luigi.FloatParameter(default=1.0, description="maximum random scale")
    jitter = luigi.FloatParameter(
        default=0.2, description="maximum change of brightness, contrast and saturation, as a share"
    )
    hue = luigi.FloatParameter(default=0.0, description="maximum change of the hue, as a share of the colour circle")
    mosaic = luigi.FloatParameter(
        default=0.0, description="share of the items that are mosaics of four images at half size"
    )
    optimizer = one_of(("adamw", "sgd"), "adamw", "optimizer; sgd has momentum 0.9")
    learning_rate = luigi.FloatParameter(default=1e-3, description="peak backbone learning rate")
    head_factor = luigi.FloatParameter(default=10.0, description="learning rate of the head, relative to the backbone")
    weight_decay = luigi.FloatParameter(default=5e-4, description="weight decay of the optimizer")
    schedule = RegistryParameter(SCHEDULES, "one_cycle", "learning rate schedule")
    warmup_epochs = luigi.FloatParameter(default=0.0, description="epochs of linear warm-up from 1e-6")
    clip_norm = luigi.FloatParameter(default=5.0, description="maximum gradient norm, 0 = no limit")
    freeze_batch_norm = flag(False, "keep the pretrained statistics, scale and shift of batch norm")
    frozen_stride = luigi.IntParameter(
        default=4, description="layers up to this output stride are not trained, 0 = all are trained"
    )
    loader_processes = luigi.IntParameter(
        default=0, description="processes that load training images, 0 = the training process", significant=False
    )

    average_decay: Any = 0.0
    """Decay of the running mean of the weights, which is the result; 0 = the last weights."""

    network: str
    """Name of the network (`tasks.runtime.networks.build_network`)."""

    @property
    def learns_superpixels(self) -> bool:
        """True if the network upsamples by learned superpixels and has ``superpixels(images)``."""
        return False

    def network_settings(self) -> dict[str, Any]:
        """Keywords of the builder of the network."""
        raise NotImplementedError

    def content_identity(self):
        return {"weights": weights_identity(self.weights, self.backbone)}

    def open(self):
        """Itself: a stage that requires a trained network calls `load`."""
        return self

    def load(self, device):
        """The trained network, a `tasks.runtime.trained_model.TrainedModel`; raises as `TrainedArtifact.load`."""
        return self.artifact.load(device)

    def new_network(self):
        """The network with its initial weights. Raises WeightsError if they are not available."""
        from tasks.runtime.networks import build_network, pretrained

        network = build_network(self.network, self.inputs["dataset"].num_classes, self.network_settings())
        return pretrained(network, self.backbone, self.weights)

    def training_images(self, maps: Mapping[str, Any], pasting=None):
        """The train split with the augmentation of the parameters, a `tasks.runtime.training_images.TrainingImages`.

        Parameters
        ----------
        maps : dict of name -> MapSource
            Arrays that are augmented together with the images. A batch has them under these names.
        pasting : tasks.runtime.copy_paste.Pasting, optional
        """
        from tasks.runtime.augmentation import Augmentation
        from tasks.runtime.layout import padded_size
        from tasks.runtime.networks import normalisation_of
        from tasks.runtime.training_images import TrainingImages

        dataset = self.inputs["dataset"]
        samples = dataset.split(TRAIN)
        if not (0 <= self.jitter <= 1 and 0 <= self.hue <= 0.5):
            name = type(self).__name__
            raise SettingError(
                f"jitter is {self.jitter:g} and hue {self.hue:g}; set --{name}-jitter to a value from 0 to 1 and "
                f"--{name}-hue to a value from 0 to 0.5"
            )
        crop = (self.crop_size, self.crop_size) if self.crop_size else padded_size(samples)
        augmentation = Augmentation(
            crop, self.scale_min, self.scale_max, flip=True, jitter=self.jitter, hue=self.hue, mosaic=self.mosaic
        )
        normalisation = normalisation_of(self.backbone)
        return TrainingImages(samples, dataset.num_classes, normalisation, augmentation, self.seed, maps, pasting)

    def train(self, network, images, loss_of, after_epoch=lambda epoch: None) -> int:
        """Train on the result of `training_images` and write the model. Returns the number of images in all epochs.

        `network`, `loss_of` and `after_epoch` are as in `tasks.runtime.training_loop.train`.
        """
        from tasks.runtime.training_images import batch_order, epoch_batches, steps_per_epoch
        from tasks.runtime.training_loop import TrainingPlan, choose_device, train

        schedule = SCHEDULES[self.schedule]
        plan = TrainingPlan(
            epochs=self.epochs,
            steps_per_epoch=steps_per_epoch(len(images), self.batch_size),
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            head_factor=self.head_factor,
            weight_decay=self.weight_decay,
            schedule=functools.partial(schedule.function, **schedule.settings(self)),
            clip_norm=self.clip_norm,
            freeze_batch_norm=self.freeze_batch_norm,
            frozen_stride=self.frozen_stride,
            average_decay=self.average_decay,
            seed=self.seed,
        )
        class_names = self.inputs["dataset"].class_names
        self.artifact.describe(
            self.network, self.network_settings(), class_names, self.backbone, images.augmentation.crop
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
            after_epoch,
            lambda epoch, number: [
                images.samples[index].image_id for index in batch_order(images, epoch, self.batch_size)[number]
            ],
        )
        return len(images) * self.epochs
